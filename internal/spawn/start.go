package spawn

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Start starts the child that spec describes. On success the program is
// running (execve has succeeded), pid is its pid and pidfd a close-on-exec
// descriptor of it; both are the caller's, who must wait for the child and
// close pidfd. On failure err is an *Error, pid is 0 and pidfd is -1, and
// nothing is left behind: no process, no descriptor.
//
// Start may be called by several goroutines. One with a Credential excludes
// other such ones and os/exec (syscall.ForkLock).
func Start(spec Spec) (pid int, pidfd int, err error) {
	if object, errno := check(&spec); errno != 0 {
		return 0, -1, &Error{Stage: StagePrepare, Errno: errno, Object: object}
	}
	d, err := openDescriptors(&spec)
	defer d.close()
	if err != nil {
		return 0, -1, &Error{Stage: StagePrepare, Errno: errnoOf(err), Object: "the descriptors"}
	}
	a, err := newArena(arenaSize(&spec))
	if err != nil {
		return 0, -1, &Error{Stage: StagePrepare, Errno: errnoOf(err), Object: "memory"}
	}
	defer a.free()
	l := newLaunch(a, &spec, d)
	if e := l.launch(); e != nil {
		return 0, -1, e
	}
	return l.frame.pid, int(*l.pidfd), nil
}

// launch is one start under way. All pointers lead into the arena.
type launch struct {
	spec   *Spec
	arena  *arena
	script *script
	frame  *frame
	pidfd  *int32 // written by the kernel before the child runs
	stack  []byte
	late   bool // Limit passed
}

func newLaunch(a *arena, spec *Spec, d *descriptors) *launch {
	l := &launch{spec: spec, arena: a}
	l.frame = (*frame)(unsafe.Pointer(unsafe.SliceData(a.room(int(frameSize)))))
	l.frame.block = ^uint64(0)
	l.pidfd = (*int32)(unsafe.Pointer(unsafe.SliceData(a.room(8))))
	*l.pidfd = -1
	l.stack = a.room(childStack)
	l.script = newScript(a, spec)
	l.script.write(spec, d)
	return l
}

// launch makes the child and returns when it is a program or reaped.
func (l *launch) launch() *Error {
	if l.spec.Credential != nil {
		defer keepDumpable()()
	}
	stop := l.watch()
	errno := l.clone3()
	if errno != 0 && fallsBack(errno) {
		errno = l.clone()
	}
	stop()
	runtime.KeepAlive(l.arena)
	if errno != 0 {
		return l.cloneError(errno)
	}
	return l.outcome()
}

// fallsBack says whether errno of clone3 means that this kernel or a seccomp
// filter knows it not, or not with these arguments (CLONE_INTO_CGROUP: 5.7).
func fallsBack(errno syscall.Errno) bool {
	return errno == unix.ENOSYS || errno == unix.EPERM || errno == unix.EINVAL || errno == unix.E2BIG
}

// clone3 is the usual way (Linux 5.3). The exit signal is 0 until execve.
func (l *launch) clone3() syscall.Errno {
	size := unix.CLONE_ARGS_SIZE_VER0
	flags := uintptr(unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD)
	first := 0
	args := l.arena.room(unix.CLONE_ARGS_SIZE_VER2)
	if l.spec.Cgroup >= 0 {
		size = unix.CLONE_ARGS_SIZE_VER2
		flags |= unix.CLONE_INTO_CGROUP
		putWord(args, 10, uintptr(l.spec.Cgroup))
		first = 1
	}
	putWord(args, 0, flags)
	putWord(args, 1, uintptr(unsafe.Pointer(l.pidfd)))
	putWord(args, 5, address(l.stack))
	putWord(args, 6, childStack)
	l.frame.clone = unix.SYS_CLONE3
	l.frame.args = [5]uintptr{address(args), uintptr(size)}
	return l.run(first)
}

// clone is the way of Linux 5.2 and of filters that refuse clone3, whose
// arguments they cannot see.
func (l *launch) clone() syscall.Errno {
	if l.spec.Cgroup >= 0 {
		procs, err := unix.Openat(l.spec.Cgroup, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return cgroupErrno(err)
		}
		defer unix.Close(procs)
		l.script.entries[0].args[0] = uintptr(procs)
	}
	*l.pidfd = -1
	l.frame.clone = unix.SYS_CLONE
	l.frame.args = [5]uintptr{
		unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD,
		address(l.stack) + childStack,
		uintptr(unsafe.Pointer(l.pidfd)),
	}
	return l.run(0)
}

// run executes the script from entry first in a child.
func (l *launch) run(first int) syscall.Errno {
	l.frame.script = l.script.address(first)
	l.frame.step = l.frame.script
	l.frame.errno = 0
	run(l.frame)
	if l.frame.pid < 0 {
		return syscall.Errno(-l.frame.pid)
	}
	return 0
}

// outcome reads what became of the child, which is past execve or gone.
func (l *launch) outcome() *Error {
	fd, pid := int(*l.pidfd), l.frame.pid
	errno := syscall.Errno(l.frame.errno)
	if !reap(fd) && errno == 0 {
		return nil
	}
	_ = unix.Close(fd) // a pidfd has nothing to flush
	if l.late {
		errno = unix.ETIMEDOUT
	}
	m := l.script.marks[l.script.at(l.frame.step)]
	return &Error{Stage: m.stage, Errno: errno, Object: m.object, PID: pid}
}

// reap waits for a child that never passed execve, and says whether there was
// one: __WCLONE finds only children whose exit signal is not SIGCHLD, so for
// one that has passed execve the answer is ECHILD at once. The wait is for the
// rest of an exit that has begun: the child has already let go of our memory.
func reap(pidfd int) bool {
	for {
		// The kernel's siginfo is 128 bytes; si_pid is at 16, after padding.
		var info [128]byte
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_PIDFD, uintptr(pidfd),
			uintptr(unsafe.Pointer(&info)), uintptr(unix.WEXITED|unix.WCLONE), 0, 0)
		if errno != unix.EINTR {
			return errno == 0 && binary.NativeEndian.Uint32(info[16:]) != 0
		}
	}
}

// watch kills the child when Limit has passed. The result ends the watch, and
// returns when it has ended.
func (l *launch) watch() (stop func()) {
	if l.spec.Limit <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	t := time.AfterFunc(l.spec.Limit, func() {
		defer close(done)
		if fd := atomic.LoadInt32(l.pidfd); fd >= 0 {
			l.late = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) == nil
		}
	})
	return func() {
		if !t.Stop() {
			<-done
		}
	}
}

// cloneError tells a refused cgroup from a refused process.
func (l *launch) cloneError(errno syscall.Errno) *Error {
	if l.spec.Cgroup >= 0 && errno != unix.EAGAIN && errno != unix.ENOMEM {
		return &Error{Stage: StageCgroup, Errno: errno, Object: "the cgroup"}
	}
	return &Error{Stage: StageClone, Errno: errno, Object: l.spec.Path}
}

// keepDumpable makes the caller as dumpable as before when its result is
// called (see the package comment). In between nobody else may change
// credentials in a child.
func keepDumpable() (restore func()) {
	syscall.ForkLock.Lock()
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return func() {
		if err == nil && before == 1 {
			// 1 is always accepted.
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		}
		syscall.ForkLock.Unlock()
	}
}

// cgroupErrno maps the errors of opening cgroup.procs to those of
// CLONE_INTO_CGROUP.
func cgroupErrno(err error) syscall.Errno {
	if errors.Is(err, unix.ENOTDIR) {
		return unix.EBADF
	}
	return errnoOf(err)
}

// errnoOf returns the errno in err.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
