package jvm

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// as does something with the effective user and group of the JVM, where we may
// take them: HotSpot before JDK 9 answers nobody else, one in a user namespace
// does not know root, and a helper without CAP_DAC_OVERRIDE may not connect to a
// socket of another user. They are those of one thread, which ends with it;
// real and saved ones stay ours, so that the target cannot signal it.
func (t *target) as(do func()) {
	if os.Geteuid() == t.uid && os.Getegid() == t.gid {
		do()
		return
	}
	onOwnThread(func() {
		// Raw, for the calls of package syscall take all threads with them. Refused,
		// we try as who we are.
		keep := ^uintptr(0)
		_, _, _ = unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(t.gid), keep)
		_, _, _ = unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(t.uid), keep)
		do()
	})
}

// onOwnThread runs do in a thread that is not used again. The main thread would
// not end with it.
func onOwnThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onOwnThread(do) // in another one, for this is taken
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}
