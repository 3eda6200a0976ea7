// Package pidfd addresses processes by descriptor. A pid is only a number that
// the next process may carry; a pidfd stays with its process, also after its
// death.
package pidfd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FD is the number of a pidfd. It owns nothing by itself: whoever opened it
// closes it.
type FD int

// Open returns a close-on-exec pidfd of pid (Linux 5.3). The process may be
// another one than the caller thinks of; Same or Info tells. A process that is
// gone is unix.ESRCH.
func Open(pid int) (FD, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot open pidfd of process %d: %w", pid, err)
	}
	return FD(fd), nil
}

// Close closes the descriptor.
func (fd FD) Close() error {
	if err := unix.Close(int(fd)); err != nil {
		return fmt.Errorf("cannot close pidfd %d: %w", int(fd), err)
	}
	return nil
}

// Signal sends sig, 0 to only ask. A process that has been reaped is
// unix.ESRCH; a zombie takes every signal and nothing happens.
func (fd FD) Signal(sig syscall.Signal) error {
	if err := unix.PidfdSendSignal(int(fd), sig, nil, 0); err != nil {
		return fmt.Errorf("cannot send %s to pidfd %d: %w", sig, int(fd), err)
	}
	return nil
}

// Dead waits in the poller, without a thread, until the process is dead (a
// zombie or reaped), and returns nil; or until ctx is done, and returns the
// cause. The process need not be a child. It works on a duplicate, so that fd
// stays the caller's. Cost: one descriptor and one context callback.
func (fd FD) Dead(ctx context.Context) error { return fd.wait(ctx, readable) }

// Reaped waits as Dead does, until the dead process has been reaped by its
// parent: then, and not before, its exit status can be had by Info. A pidfd
// tells this by POLLHUP since Linux 6.9; on an older kernel ctx ends the wait.
func (fd FD) Reaped(ctx context.Context) error { return fd.wait(ctx, hungUp) }

func (fd FD) wait(ctx context.Context, over func(int) bool) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot duplicate pidfd %d: %w", int(fd), err)
	}
	// os.NewFile registers only non-blocking descriptors with the poller. The
	// flag belongs to the open file, which fd shares: waitid(2) of this pidfd
	// without WNOHANG then returns EAGAIN (Linux 5.10), so Waitid polls.
	if err := unix.SetNonblock(dup, true); err != nil {
		_ = unix.Close(dup)
		return fmt.Errorf("cannot make pidfd %d non-blocking: %w", int(fd), err)
	}
	f := os.NewFile(uintptr(dup), "pidfd")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot watch pidfd %d: %w", int(fd), err)
	}
	// A deadline in the past wakes the poller.
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	err = raw.Read(func(n uintptr) bool { return over(int(n)) })
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot watch pidfd %d: %w", int(fd), err)
	}
	return nil
}

// Exited says whether the process is dead now.
func (fd FD) Exited() bool { return readable(int(fd)) }

// readable asks poll(2) without waiting. An error means that the question
// makes no sense for this descriptor, which is not "dead".
func readable(fd int) bool {
	return poll(fd, 0)
}

// hungUp asks for POLLHUP, which poll(2) reports unasked.
func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	for {
		n, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n == 1 && p[0].Revents&unix.POLLHUP != 0
	}
}

// poll waits for POLLIN for timeout milliseconds, -1 for ever.
func poll(fd, timeout int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, timeout)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n == 1 && p[0].Revents&(unix.POLLIN|unix.POLLHUP) != 0
	}
}

// Status is how a child ended.
type Status struct {
	PID    int
	Code   int // unix.CLD_EXITED, CLD_KILLED, CLD_DUMPED; or stopped, continued
	Status int // exit status, or number of the signal
	Rusage unix.Rusage
}

// cldExited is CLD_EXITED of waitid(2); unix has no name for it.
const cldExited = 1

// Exited returns the exit status if the child ended by exit.
func (s Status) Exited() (status int, ok bool) { return s.Status, s.Code == cldExited }

// Signaled returns the signal if the child ended by one.
func (s Status) Signaled() (sig syscall.Signal, ok bool) {
	return syscall.Signal(s.Status), s.Code == 2 || s.Code == 3
}

// ErrRunning is the answer of Waitid with WNOHANG while there is nothing to
// tell.
var ErrRunning = errors.New("pidfd: still running")

// Waitid waits for a child by its pidfd (Linux 5.4). flags are those of
// waitid(2): unix.WEXITED and, if wished, WNOHANG and WNOWAIT. Not a child, or
// reaped by now: unix.ECHILD.
func (fd FD) Waitid(flags int) (Status, error) {
	var s Status
	for {
		// The kernel's siginfo for CHLD on 64 bit: signo, errno, code, padding,
		// pid, uid, status.
		var info [32]int32
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_PIDFD, uintptr(fd),
			uintptr(unsafe.Pointer(&info)), uintptr(flags), uintptr(unsafe.Pointer(&s.Rusage)), 0)
		runtime.KeepAlive(&info)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN && flags&unix.WNOHANG == 0:
			poll(int(fd), -1) // the pidfd is non-blocking
			continue
		case errno != 0:
			return Status{}, fmt.Errorf("cannot wait for pidfd %d: %w", int(fd), errno)
		case info[4] == 0:
			return Status{}, ErrRunning
		}
		s.PID, s.Code, s.Status = int(info[4]), int(info[2]), int(info[6])
		return s, nil
	}
}
