package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A twin is a copy-on-write copy of a process: a clone(2) that one of its threads
// is made to call. The memory of the target is copied when and where it changes,
// by the kernel; the target stands still only while page tables are copied. The
// twin never runs a single instruction of the program: its stack is at an
// address where nothing is, all its signals are blocked, and it dies with us.
type twin struct {
	pid  int
	call uint64 // where a system call instruction is
}

var errNoTwin = errors.New("capture: no twin")

// makeTwin makes the twin of a frozen process. Whatever happens, the thread that
// made it is as it was before. The caller frees the target, then calls empty.
func (f *frozen) makeTwin(code returnCode) (*twin, error) {
	if !canTwin {
		return nil, fmt.Errorf("%w: it is not made on this processor architecture, where it was never tried", errNoTwin)
	}
	if err := code.usable(f.threads, f.target.PID); err != nil {
		return nil, err
	}
	lead, err := f.chooseLead()
	if err != nil {
		return nil, err
	}
	// With CLONE_PARENT the twin is a child of the target's parent: the target's
	// own waits do not see it. The init of a pid namespace may not have siblings
	// (EINVAL, clone(2)).
	pid, err := f.clone(lead, code, unix.CLONE_PARENT|uintptr(unix.SIGCHLD))
	if errors.Is(err, unix.EINVAL) {
		pid, err = f.clone(lead, code, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: clone was refused: %w", errNoTwin, err)
	}
	t := &twin{pid: pid, call: code.call}
	// It has stopped before its first instruction, since its maker is traced.
	if _, err := f.await(pid); err != nil {
		t.end()
		return nil, fmt.Errorf("%w: it died at once: %w", errNoTwin, err)
	}
	if err := ptrace(unix.PTRACE_SETOPTIONS, pid, 0, unix.PTRACE_O_EXITKILL); err != nil {
		t.end()
		return nil, fmt.Errorf("%w: cannot have it end with us: %w", errNoTwin, err)
	}
	return t, nil
}

// chooseLead finds the thread that is made to call clone: best one that waits for
// a futex. Should we be killed in the middle, it waits again.
func (f *frozen) chooseLead() (lead *thread, err error) {
	best := 0
	for _, t := range f.threads {
		if t.deliver != 0 || len(t.regs) != registers {
			continue
		}
		rank := 1
		switch nr := syscallOf(t.regs); {
		case nr == unix.SYS_FUTEX:
			rank = 3
		case nr >= 0:
			rank = 2
		}
		if rank > best {
			best, lead = rank, t
		}
	}
	if lead == nil {
		return nil, fmt.Errorf("%w: a signal is on its way to each of its threads", errNoTwin)
	}
	return lead, nil
}

// clone makes the lead call clone(2), and puts it back to where it was.
func (f *frozen) clone(lead *thread, code returnCode, flags uintptr) (pid int, err error) {
	mask, err := signalMask(lead.tid)
	if err != nil {
		return 0, err
	}
	sp, err := code.prepare(f.target.PID, lead, mask)
	if err != nil {
		return 0, err
	}
	if err := ptrace(unix.PTRACE_SETOPTIONS, lead.tid, 0, unix.PTRACE_O_TRACEFORK|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEVFORK); err != nil {
		return 0, err
	}
	// In this order: a thread that has the registers puts its mask back too.
	if err := setRegisters(lead.tid, withStack(withCall(lead.regs, code.call, unix.SYS_CLONE, flags, twinStack), sp)); err != nil {
		return 0, err
	}
	if err := setSignalMask(lead.tid, ^uint64(0)); err != nil {
		return 0, errors.Join(err, setRegisters(lead.tid, lead.regs))
	}
	pid, err = f.callClone(lead)
	// Back to where a stop is inside the kernel's delivery of signals: only there
	// do registers that say "in a system call" have it called again.
	err = errors.Join(err, f.restore(lead, mask))
	return pid, err
}

func (f *frozen) callClone(lead *thread) (pid int, err error) {
	for entered := false; ; {
		if err := ptrace(unix.PTRACE_SYSCALL, lead.tid, 0, 0); err != nil {
			return 0, err
		}
		status, err := f.await(lead.tid)
		if err != nil {
			return 0, err
		}
		switch event := int(uint32(status) >> 16); {
		case event == 0 && status.StopSignal() != unix.SIGTRAP: // SIGSTOP, which nothing blocks
			lead.deliver = int(status.StopSignal())
		case event == unix.PTRACE_EVENT_FORK || event == unix.PTRACE_EVENT_CLONE || event == unix.PTRACE_EVENT_VFORK:
			message, err := eventMessage(lead.tid)
			return int(message), err
		case event != 0: // somebody stops the target: that waits
		case !entered:
			entered = true
		default:
			return 0, f.refusal(lead.tid)
		}
	}
}

// refusal is the error that clone returned.
func (f *frozen) refusal(tid int) error {
	regs := make([]byte, registers)
	if _, err := registerSet(tid, 1, regs); err != nil {
		return err
	}
	if r := resultOf(regs); r < 0 && r > -4096 {
		return unix.Errno(-r)
	}
	return fmt.Errorf("clone returned %d, and no event came", resultOf(regs))
}

// restore brings the lead to a stop and gives it back its registers and mask.
func (f *frozen) restore(lead *thread, mask uint64) error {
	if err := ptrace(unix.PTRACE_INTERRUPT, lead.tid, 0, 0); err != nil {
		return err
	}
	for {
		if err := ptrace(unix.PTRACE_CONT, lead.tid, 0, 0); err != nil {
			return err
		}
		status, err := f.await(lead.tid)
		if err != nil {
			return err
		}
		event := int(uint32(status) >> 16)
		if event == unix.PTRACE_EVENT_STOP {
			break
		}
		if event == 0 && status.StopSignal() != unix.SIGTRAP {
			lead.deliver = int(status.StopSignal())
		}
	}
	return errors.Join(setRegisters(lead.tid, lead.regs), setSignalMask(lead.tid, mask), ptrace(unix.PTRACE_SETOPTIONS, lead.tid, 0, 0))
}

// await waits for the next stop of one thread. It has no limit: a thread in the
// middle of an injected call cannot be left to itself, but by our death.
func (f *frozen) await(tid int) (unix.WaitStatus, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(tid, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("cannot wait for thread %d: %w", tid, err)
		}
		if !status.Stopped() {
			return 0, fmt.Errorf("thread %d has ended: %w", tid, ErrGone)
		}
		return status, nil
	}
}

// empty closes all descriptors of the twin: it holds copies of the target's
// listening sockets, locks and pipes, which must not outlive it.
func (t *twin) empty(f *frozen) error {
	r, err := t.call3(f, unix.SYS_CLOSE_RANGE, 0, uintptr(^uint32(0)), 0) // Linux 5.9
	if err == nil && r == -int64(unix.ENOSYS) {
		err = t.closeEach(f)
	} else if err == nil && r != 0 {
		err = unix.Errno(-r)
	}
	if err != nil {
		return fmt.Errorf("cannot close the descriptors of the twin: %w", err)
	}
	return nil
}

func (t *twin) closeEach(f *frozen) error {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", t.pid))
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, err := t.call3(f, unix.SYS_CLOSE, uintptr(fd), 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// call3 makes the twin call something, and returns what that returned.
func (t *twin) call3(f *frozen, nr, a, b, c uintptr) (int64, error) {
	regs := make([]byte, registers)
	if _, err := registerSet(t.pid, 1, regs); err != nil {
		return 0, err
	}
	if err := setRegisters(t.pid, withCall(regs, t.call, nr, a, b, c)); err != nil {
		return 0, err
	}
	for range 2 { // in, and out
		if err := ptrace(unix.PTRACE_SYSCALL, t.pid, 0, 0); err != nil {
			return 0, err
		}
		if _, err := f.await(t.pid); err != nil {
			return 0, err
		}
	}
	if _, err := registerSet(t.pid, 1, regs); err != nil {
		return 0, err
	}
	return resultOf(regs), nil
}

// end kills the twin and waits for its end. Its parent, which is the target's,
// has to wait for it too.
func (t *twin) end() {
	_ = unix.Kill(t.pid, unix.SIGKILL)
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(t.pid, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) || (err == nil && pid == t.pid && status.Stopped()) {
			continue
		}
		return
	}
}

// twinStack is where the twin's stack would be. Nothing is there, so that a twin
// that is let loose dies at the first thing it does.
const twinStack = 8

func setRegisters(tid int, regs []byte) error {
	vec := unix.Iovec{Base: &regs[0], Len: uint64(len(regs))}
	err := ptrace(unix.PTRACE_SETREGSET, tid, 1, uintptr(unsafe.Pointer(&vec)))
	runtime.KeepAlive(regs)
	return err
}

// signalMask reads the mask of a thread, PTRACE_GETSIGMASK (Linux 3.11).
func signalMask(tid int) (mask uint64, err error) {
	err = ptrace(ptraceGetSigMask, tid, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	return mask, err
}

func setSignalMask(tid int, mask uint64) error {
	return ptrace(ptraceSetSigMask, tid, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
}

// linux/ptrace.h
const (
	ptraceGetSigMask = 0x420a
	ptraceSetSigMask = 0x420b
)

func pcOf(regs []byte) uint64 { return binary.LittleEndian.Uint64(regs[pcAt:]) }
func spOf(regs []byte) uint64 { return binary.LittleEndian.Uint64(regs[spAt:]) }
