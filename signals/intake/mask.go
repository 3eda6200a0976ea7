package intake

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// triedVar tells the new image that the mask has been emptied once.
const triedVar = "VIGIL_INTAKE_UNMASKED"

// Unmask makes sure that no thread of this process, now or later, blocks a
// signal that the parent had blocked. The Go runtime starts every thread with
// the mask that the process began with, less HUP, INT, QUIT, TERM and some more
// (minitSignalMask in runtime/signal_unix.go), and gives nobody the means to
// change it: so where that mask is not empty, Unmask empties the one of this
// thread and executes the program once more. Then it does not return. It
// belongs at the very beginning of main, before anything is announced: a signal
// that arrives meanwhile meets the default action, as at any start. What the
// parent had blocked and is pending is dropped (USR1, USR2) here.
//
// With a mask that is empty, the usual case, it costs one system call. An error
// leaves the process as it was; Start then helps itself, see there.
func Unmask() error {
	tried := os.Getenv(triedVar) != ""
	if tried {
		_ = os.Unsetenv(triedVar) // it fails for an empty name only
	}
	if inheritedMask() == 0 || tried {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var empty, before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &empty, &before); err != nil {
		return fmt.Errorf("cannot empty the signal mask: %w", err)
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), triedVar+"=1"))
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return fmt.Errorf("cannot execute the program with an empty signal mask: %w", err)
}

// inheritedMask is what this thread blocks: what every thread does, unless its
// goroutine has changed that.
func inheritedMask() uint64 {
	var now unix.Sigset_t
	if unix.PthreadSigmask(unix.SIG_BLOCK, nil, &now) != nil {
		return 0
	}
	return now.Val[0]
}
