package native

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// own reads without a tool: all threads are stopped by PTRACE_SEIZE, which leaves
// no stop behind, their registers are taken and their frame pointers followed;
// the names come from the symbols of the files that are mapped, after the
// process is free again.
func (t *target) own(ctx context.Context) (*reading, error) {
	type answer struct {
		r   *reading
		err error
	}
	done := make(chan answer, 1)
	go func() {
		// A tracer is a thread. It is given up with its tracees.
		runtime.LockOSThread()
		r, err := t.ownLocked(ctx)
		done <- answer{r, err}
	}()
	a := <-done
	if a.err != nil {
		return nil, a.err
	}
	symbols := newSymbols(t.pid, t.modules)
	for i := range a.r.threads {
		symbols.frames(ctx, &a.r.threads[i])
	}
	return a.r, nil
}

func (t *target) ownLocked(ctx context.Context) (*reading, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.pid))
	if err != nil {
		return nil, fmt.Errorf("cannot read memory: %w", err)
	}
	defer mem.Close()
	r := &reading{source: SourceOwn, taken: time.Now(), notes: []string{
		"frame pointers only: frames of code that was built without them can be missing, and some next to the innermost can be of calls that are over",
	}}
	w := walker{mem: mem, modules: t.modules}
	err = t.still(ctx, func(stopped []int, whole bool) {
		if !whole {
			r.partial = "not every thread could be stopped"
		}
		for _, tid := range stopped {
			var regs unix.PtraceRegs
			if err := unix.PtraceGetRegs(tid, &regs); err == nil { // else it ended
				r.threads = append(r.threads, w.walk(tid, &regs))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Still calls do while the threads of a process stand still, on a thread of its
// own: do must be quick. whole says that all of them do. When the process cannot
// be traced it returns the error and do is not called.
func Still(ctx context.Context, pid int, do func(whole bool)) error {
	t := &target{pid: pid}
	tids, err := listTasks(pid)
	if err != nil {
		return err
	}
	for _, tid := range tids {
		if k, err := readTask(pid, tid); err == nil {
			k.tid = tid
			t.tasks = append(t.tasks, k)
		}
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // as in own
		done <- t.still(ctx, func(_ []int, whole bool) { do(whole) })
	}()
	return <-done
}

// still stops every thread, calls do with those that stand still, and lets them
// go. The calling goroutine owns its OS thread, and ends with it.
func (t *target) still(ctx context.Context, do func(stopped []int, whole bool)) error {
	list, err := t.seize()
	defer func() {
		for _, s := range list {
			s.detach()
		}
	}()
	if len(list) == 0 {
		return err
	}
	// Those that stopped stand still meanwhile.
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	var stopped []int
	for _, s := range list {
		if s.stop(ctx) {
			stopped = append(stopped, s.tid)
		}
	}
	do(stopped, len(stopped) == len(list))
	return nil
}

// stopLimit is how long a thread may need to stop.
const stopLimit = 100 * time.Millisecond

// seized is a thread that we trace.
type seized struct {
	tid     int
	stopped bool
	signal  int // to be passed on: the stop took it out of the queue
}

// seize begins to trace every thread and asks it to stop.
func (t *target) seize() ([]*seized, error) {
	var list []*seized
	var first error
	for _, k := range t.tasks {
		if k.state == 'Z' || k.state == 'X' {
			continue
		}
		if err := ptrace(unix.PTRACE_SEIZE, k.tid, 0); err != nil {
			if first == nil && !errors.Is(err, unix.ESRCH) {
				first = fmt.Errorf("cannot seize thread %d: %w", k.tid, err)
			}
			continue
		}
		list = append(list, &seized{tid: k.tid})
		_ = ptrace(unix.PTRACE_INTERRUPT, k.tid, 0) // ESRCH: it ends
	}
	if first == nil && len(list) == 0 {
		first = errors.New("no thread is left")
	}
	return list, first
}

// stop waits until the thread stands still. One in the state D does not until its
// system call ends, so the wait is bounded; wait4(2) knows no time limit, and
// another thread of ours cannot wait for this one's tracees (__WNOTHREAD).
func (s *seized) stop(ctx context.Context) bool {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(s.tid, &status, unix.WALL|unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false
		case got == s.tid:
			if !status.Stopped() {
				return false // it ended
			}
			s.stopped = true
			// A stop with an event is ours or that of a stopped process; else a
			// signal is on its way to the program.
			if int(status)>>16 == 0 {
				s.signal = int(status.StopSignal())
			}
			return true
		case ctx.Err() != nil:
			return false
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (s *seized) detach() {
	if !s.stopped {
		// A thread that runs cannot be detached. The end of our thread lets go of it.
		return
	}
	_ = ptrace(unix.PTRACE_DETACH, s.tid, uintptr(s.signal)) // ESRCH: it ended
}

func ptrace(request, tid int, data uintptr) error {
	if _, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, data, 0, 0); e != 0 {
		return e
	}
	return nil
}

// walker follows frame pointers through the memory of a process.
type walker struct {
	mem     *os.File
	modules modules
}

// Bounds of a walk.
const (
	ownFrames    = 64
	maxFrameSize = 1 << 20
	maxScan      = 2048 // words above the stack pointer that are searched
	maxLeaf      = 8    // return addresses that are taken from them
)

// walk reads the stack of one thread that stands still.
func (w walker) walk(tid int, regs *unix.PtraceRegs) thread {
	pc, sp, fp, lr := registers(regs)
	th := thread{tid: tid}
	push := func(pc uint64) {
		if n := len(th.frames); n == 0 || th.frames[n-1].PC != pc {
			th.frames = append(th.frames, snapshot.Frame{PC: pc})
		}
	}
	push(pc)
	if lr != 0 && w.returns(lr) {
		push(lr)
	}
	words := w.words(sp)
	fp = w.firstFrame(sp, fp, words)
	for _, leaf := range w.leaves(words, sp, fp) {
		push(leaf)
	}
	for len(th.frames) < ownFrames && w.plausible(sp, fp) {
		next, ret, ok := w.pair(fp)
		if !ok || !w.returns(ret) {
			return th
		}
		push(ret)
		sp, fp = fp+8, next
	}
	th.cut = len(th.frames) == ownFrames
	return th
}

// words is the begin of the stack.
func (w walker) words(sp uint64) []uint64 {
	b := make([]byte, maxScan*8)
	n, _ := w.mem.ReadAt(b, int64(sp)) // what could be read
	words := make([]uint64, n/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return words
}

// firstFrame is fp, if that points to a frame, else the first frame above sp: the
// C library is built without frame pointers and may use the register for
// something else. Two frames that follow each other are no accident.
func (w walker) firstFrame(sp, fp uint64, words []uint64) uint64 {
	if w.frame(sp, fp) {
		return fp
	}
	for i := range words[:max(0, len(words)-1)] {
		at := sp + uint64(8*i)
		if next := words[i]; w.plausible(at+8, next) && w.returns(words[i+1]) && w.frame(at+8, next) {
			return at
		}
	}
	return 0
}

func (w walker) frame(sp, fp uint64) bool {
	if !w.plausible(sp, fp) {
		return false
	}
	_, ret, ok := w.pair(fp)
	return ok && w.returns(ret)
}

func (w walker) plausible(sp, fp uint64) bool { return fp >= sp && fp%8 == 0 && fp-sp < maxFrameSize }

// leaves are the return addresses below the first frame that has a pointer: those
// of the functions without one, and what looks like one.
func (w walker) leaves(words []uint64, sp, fp uint64) []uint64 {
	var list []uint64
	for i, v := range words {
		if at := sp + uint64(8*i); fp != 0 && at >= fp || len(list) == maxLeaf {
			break
		}
		if w.returns(v) {
			list = append(list, v)
		}
	}
	return list
}

// pair reads what a frame pointer points to: the next, and a return address.
func (w walker) pair(fp uint64) (next, ret uint64, ok bool) {
	var b [16]byte
	if _, err := w.mem.ReadAt(b[:], int64(fp)); err != nil {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]), true
}

// returns says whether an address is one that a call returns to.
func (w walker) returns(pc uint64) bool {
	if _, ok := w.modules.at(pc); !ok {
		return false
	}
	var code [8]byte
	if _, err := w.mem.ReadAt(code[:], int64(pc)-int64(len(code))); err != nil {
		return false
	}
	return afterCall(code[:])
}
