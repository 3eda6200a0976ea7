package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// A permanent tracer stands beside a process for its whole life, with
// PTRACE_O_TRACEEXIT (ptrace(2), since Linux 2.5.60): each thread stops once
// more when it is about to end, with its registers, its stack and the memory of
// the process still there. So it sees what no core does: an end by SIGKILL, one
// with a core limit of 0. Its price: each signal that is delivered to the
// process makes a stop, and no debugger can attach meanwhile.

// TraceOptions of a permanent tracer.
type TraceOptions struct {
	Core     string        // path of the core to write, mode 0600
	MaxBytes int64         // most bytes of memory to copy; 0: no limit
	Budget   time.Duration // most time that the end of the process is held up
	// Attached is called once, when every thread is traced.
	Attached func()
	// Ending is called when the process stands at its end, before its memory is
	// copied: /proc shows it still.
	Ending func(status unix.WaitStatus)
	_      struct{}
}

// TraceResult is what a permanent tracer saw.
type TraceResult struct {
	Result
	Captured bool            // it ended by a signal, or with another status than 0
	Status   unix.WaitStatus // of the end; of no meaning unless Captured
}

// Trace traces the process until it ends. It returns early with an error when
// the process cannot be traced. Only the end of the caller's own process
// detaches it before: the kernel frees the target then.
func Trace(target Target, opt TraceOptions) (res TraceResult, err error) {
	onOwnThread(func() { res, err = trace(target, opt) })
	return res, err
}

// tracer is the state of one tracing. All of it belongs to one OS thread.
type tracer struct {
	target Target
	opt    TraceOptions
	parked map[int]*thread // at their end
	since  time.Duration   // of the first parked one, CLOCK_BOOTTIME
	status unix.WaitStatus
	stops  chan os.Signal
	res    TraceResult
}

func trace(target Target, opt TraceOptions) (TraceResult, error) {
	target, err := target.Identify()
	if err != nil {
		return TraceResult{}, err
	}
	t := &tracer{target: target, opt: opt, parked: map[int]*thread{}, stops: make(chan os.Signal, 1)}
	t.res.Freeze.Method = "none"
	if err := t.attach(); err != nil {
		return t.res, err
	}
	// The pid could have passed to another process before it was traced; then
	// the return ends this OS thread, and with it the tracing.
	if _, err := target.Identify(); err != nil {
		return t.res, err
	}
	if opt.Attached != nil {
		opt.Attached()
	}
	return t.res, t.loop()
}

// attach traces every thread; new ones are traced from their birth.
func (t *tracer) attach() error {
	known := map[int]bool{}
	for {
		tids, err := threadIDs(t.target.PID)
		if err != nil {
			return err
		}
		found := 0
		for _, tid := range tids {
			if known[tid] {
				continue
			}
			known[tid] = true
			err := ptrace(unix.PTRACE_SEIZE, tid, 0, unix.PTRACE_O_TRACEEXIT|unix.PTRACE_O_TRACECLONE)
			switch {
			case err == nil:
				found++
			case errors.Is(err, unix.ESRCH), threadGone(t.target.PID, tid):
			case errors.Is(err, unix.EPERM) && statusField(tid, "TracerPid:") == strconv.Itoa(os.Getpid()):
				// It was born to one that we trace, after the list was read.
			default:
				return explain(t.target.PID, err)
			}
		}
		if found == 0 {
			return nil
		}
	}
}

func threadIDs(pid int) ([]int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("cannot list threads of process %d: %v: %w", pid, err, ErrGone)
	}
	tids := make([]int, 0, len(entries))
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids, nil
}

// threadGone reports whether a thread has ended; a leader may stay as a zombie.
func threadGone(pid, tid int) bool {
	st, err := readStat(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	return err != nil || st.state == 'Z' || st.state == 'X'
}

// loop lets the process run until none of its threads is left.
func (t *tracer) loop() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return fmt.Errorf("cannot wait for process %d: %w", t.target.PID, err)
		case !status.Stopped():
			continue // a thread has ended
		}
		if t.onStop(tid, status) {
			t.end()
		}
	}
}

// onStop lets a thread go on, and reports whether the process may be at its end.
func (t *tracer) onStop(tid int, status unix.WaitStatus) (ending bool) {
	event := int(uint32(status) >> 16)
	switch {
	case event == unix.PTRACE_EVENT_EXIT:
		return t.onExit(tid)
	case event == unix.PTRACE_EVENT_STOP && isStopSignal(status.StopSignal()):
		// A group stop: it stays stopped, and hears of SIGCONT.
		_ = ptrace(unix.PTRACE_LISTEN, tid, 0, 0)
	case event != 0:
		_ = ptrace(unix.PTRACE_CONT, tid, 0, 0) // a new thread, or its maker
	default:
		_ = ptrace(unix.PTRACE_CONT, tid, 0, uintptr(status.StopSignal())) // a signal on its way in
	}
	return false
}

// PTRACE_EVENT_STOP reports a group stop with the signal that caused it, and
// everything else with SIGTRAP (ptrace(2)).
func isStopSignal(s unix.Signal) bool {
	switch s {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return true
	}
	return false
}

// onExit keeps a thread that ends with the whole process for a bad reason, and
// lets others end.
func (t *tracer) onExit(tid int) (ending bool) {
	one := &thread{tid: tid, stopped: true}
	status, err := eventMessage(tid)
	if err != nil || status == 0 || (!status.Signaled() && t.alone(one)) {
		_ = ptrace(unix.PTRACE_CONT, tid, 0, 0)
		return false
	}
	if len(t.parked) == 0 {
		t.since, t.status = clock.Boot(), status
	}
	t.parked[tid] = one
	return true
}

// alone reports whether a thread ends and leaves others behind: it has called
// exit(2). exit_group(2) is another system call, and the threads that it ends
// are wherever they were.
func (t *tracer) alone(one *thread) bool {
	if one.readRegisters() != nil || binary.LittleEndian.Uint64(one.regs[syscallAt:]) != unix.SYS_EXIT {
		return false
	}
	tids, err := threadIDs(t.target.PID)
	if err != nil {
		return false
	}
	for _, tid := range tids {
		if tid != one.tid && !threadGone(t.target.PID, tid) {
			return true
		}
	}
	return false
}

// end collects the other threads, takes the memory, and lets the process end.
func (t *tracer) end() {
	signal.Notify(t.stops, unix.SIGCHLD)
	defer signal.Stop(t.stops)
	ctx, cancel := context.WithTimeout(context.Background(), t.opt.Budget)
	defer cancel()
	if t.gather(ctx) {
		t.capture(ctx)
	}
	for tid := range t.parked {
		_ = ptrace(unix.PTRACE_CONT, tid, 0, 0) // ESRCH: it is gone
	}
	clear(t.parked)
	t.res.Freeze.Pause = snapshot.SecondsOf(clock.Boot() - t.since)
}

// gather waits until every thread that is left stands at its end.
func (t *tracer) gather(ctx context.Context) bool {
	for {
		for t.poll() {
		}
		if t.allParked() {
			return true
		}
		select {
		case <-t.stops:
		case <-ctx.Done():
			t.res.Missing = append(t.res.Missing, fmt.Sprintf("memory: its end was held up for %s, and not all of its threads were at theirs", t.opt.Budget))
			return false
		}
	}
}

// poll takes one stop that has happened, if there is one.
func (t *tracer) poll() bool {
	var status unix.WaitStatus
	tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD|unix.WNOHANG, nil)
	if err != nil || tid == 0 {
		return errors.Is(err, unix.EINTR)
	}
	if status.Stopped() {
		t.onStop(tid, status)
	} else {
		delete(t.parked, tid)
	}
	return true
}

func (t *tracer) allParked() bool {
	tids, err := threadIDs(t.target.PID)
	if err != nil {
		return true // all have ended; there is nothing to wait for
	}
	for _, tid := range tids {
		if t.parked[tid] == nil && !threadGone(t.target.PID, tid) {
			return false
		}
	}
	return true
}

// capture takes what there is of a process that stands at its end.
func (t *tracer) capture(ctx context.Context) {
	t.res.Captured, t.res.Status = true, t.status
	if t.opt.Ending != nil {
		t.opt.Ending(t.status)
	}
	f := &frozen{target: t.target, stops: t.stops}
	for _, one := range t.parked {
		if err := one.readRegisters(); err != nil {
			t.res.Missing = append(t.res.Missing, err.Error())
			continue
		}
		f.threads = append(f.threads, one)
	}
	t.res.Freeze.Threads = len(f.threads)
	if err := t.copy(ctx, f); err != nil {
		t.res.Missing = append(t.res.Missing, "memory: "+err.Error())
	}
	t.res.Threads = positions(f.threads)
}

func (t *tracer) copy(ctx context.Context, f *frozen) error {
	file, err := createCore(t.opt.Core)
	if err != nil || file == nil {
		return err
	}
	defer func() { discard(file) }()
	page := openPages(t.target.PID)
	defer page.close()
	l, c, err := copyMemory(ctx, t.target.PID, workers, f.threads, identify(t.target.PID), page, file, t.opt.MaxBytes, &t.res.Result)
	if err != nil {
		return err
	}
	c.wait()
	t.res.Freeze.Method = methodTrace
	return finish(c, l, &file, t.opt.Core, &t.res.Result)
}

// methodTrace is how a permanent tracer takes the memory: at the end.
const methodTrace = "trace"

// eventMessage reads the status that a thread in PTRACE_EVENT_EXIT ends with.
func eventMessage(tid int) (unix.WaitStatus, error) {
	var message uintptr
	if err := ptrace(unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&message))); err != nil {
		return 0, fmt.Errorf("cannot ask how thread %d ends: %w", tid, err)
	}
	return unix.WaitStatus(message), nil
}

// EndOf words the status of an end: "signal KILL", "status 2".
func EndOf(s unix.WaitStatus) string {
	if s.Signaled() {
		return "signal " + strings.TrimPrefix(unix.SignalName(s.Signal()), "SIG")
	}
	return "status " + strconv.Itoa(s.ExitStatus())
}
