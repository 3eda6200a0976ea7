package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is a thread that we trace.
type thread struct {
	tid     int
	stopped bool
	deliver int    // a signal that our stop overtook; it is passed on at release
	regs    []byte // of the size registers
	extra   []byte // of the register set extraSet; may be absent
}

// frozen is a process with all threads stopped. All its methods that use
// ptrace must run on the OS thread that made it.
type frozen struct {
	target  Target
	threads []*thread
	known   map[int]bool
	stops   chan os.Signal
}

// freeze stops all threads of the target. The caller has locked its OS thread
// and must call release, also after an error: some threads can be stopped then.
func freeze(ctx context.Context, target Target) (*frozen, error) {
	f := &frozen{target: target, known: map[int]bool{}, stops: make(chan os.Signal, 1)}
	// The kernel sends the tracer SIGCHLD at each stop, so nobody has to poll.
	signal.Notify(f.stops, unix.SIGCHLD)
	for {
		found, err := f.seizeNew()
		if err != nil {
			return f, err
		}
		if err := f.awaitStops(ctx); err != nil {
			return f, err
		}
		// A thread that was not yet stopped can have made another one.
		if found == 0 {
			break
		}
	}
	if len(f.threads) == 0 {
		return f, fmt.Errorf("cannot freeze process %d: %w", target.PID, ErrGone)
	}
	for _, t := range f.threads {
		if err := t.readRegisters(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// seizeNew traces every thread that is not known yet, and says how many it found.
func (f *frozen) seizeNew() (found int, err error) {
	dir := fmt.Sprintf("/proc/%d/task", f.target.PID)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("cannot list threads of process %d: %v: %w", f.target.PID, err, ErrGone)
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil || f.known[tid] {
			continue
		}
		found++
		f.known[tid] = true
		if err := ptrace(unix.PTRACE_SEIZE, tid, 0, 0); err != nil {
			st, statErr := readStat(dir + "/" + e.Name() + "/stat")
			// A thread can end at any time; a leader that ended stays as a zombie
			// while other threads run, and cannot be traced.
			if errors.Is(err, unix.ESRCH) || statErr != nil || st.state == 'Z' || st.state == 'X' {
				continue
			}
			return found, explain(f.target.PID, err)
		}
		f.threads = append(f.threads, &thread{tid: tid})
		// ESRCH: it ended meanwhile; awaitStops sees that.
		_ = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
	}
	return found, nil
}

// awaitStops waits until every traced thread has stopped or ended.
func (f *frozen) awaitStops(ctx context.Context) error {
	for {
		running := 0
		alive := f.threads[:0]
		for _, t := range f.threads {
			ended := t.poll()
			if ended {
				continue
			}
			if !t.stopped {
				running++
			}
			alive = append(alive, t)
		}
		f.threads = alive
		if running == 0 {
			return nil
		}
		select {
		case <-f.stops:
		case <-ctx.Done():
			return fmt.Errorf("cannot stop %d of %d threads of process %d (uninterruptible sleep?): %w", running, len(f.threads), f.target.PID, ctx.Err())
		}
	}
}

// poll takes the news of a thread that is not stopped yet.
func (t *thread) poll() (ended bool) {
	if t.stopped {
		return false
	}
	var status unix.WaitStatus
	got, err := unix.Wait4(t.tid, &status, unix.WNOHANG|unix.WALL, nil)
	switch {
	case errors.Is(err, unix.EINTR) || (err == nil && got == 0):
		return false
	case err != nil || !status.Stopped():
		return true
	}
	t.stopped = true
	// A stop of ours and a group stop carry PTRACE_EVENT_STOP. One without an
	// event is a signal on its way in, which won the race: it is lost unless
	// release passes it on.
	if uint32(status)>>16 == 0 {
		t.deliver = int(status.StopSignal())
	}
	return false
}

func (t *thread) readRegisters() error {
	t.regs = make([]byte, registers)
	n, err := registerSet(t.tid, 1, t.regs) // NT_PRSTATUS
	if err != nil || n != registers {
		return fmt.Errorf("cannot read registers of thread %d: %d bytes: %w", t.tid, n, errors.Join(err, ErrGone))
	}
	extra := make([]byte, extraMost)
	if n, err := registerSet(t.tid, extraSet, extra); err == nil {
		t.extra = extra[:n]
	}
	return nil
}

// release frees every thread. A thread that cannot be detached because it never
// stopped is freed by the kernel when our OS thread ends.
func (f *frozen) release() {
	signal.Stop(f.stops)
	for _, t := range f.threads {
		t.poll()
		if t.stopped {
			// ESRCH: somebody has killed it.
			_ = ptrace(unix.PTRACE_DETACH, t.tid, 0, uintptr(t.deliver))
		}
	}
	f.threads = nil
}

// ptrace makes one call of ptrace(2).
func ptrace(request, tid int, addr, data uintptr) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// registerSet reads a register set by PTRACE_GETREGSET (Linux 2.6.34).
func registerSet(tid, set int, buf []byte) (int, error) {
	vec := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	err := ptrace(unix.PTRACE_GETREGSET, tid, uintptr(set), uintptr(unsafe.Pointer(&vec)))
	runtime.KeepAlive(buf)
	return int(vec.Len), err
}
