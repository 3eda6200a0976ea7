package capture

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// returnCode is where the code is by which a thread puts itself back.
type returnCode struct {
	call      uint64 // a system call, and a return
	sigreturn uint64 // a call of rt_sigreturn(2)
	stack     uint64 // the low end of the main thread's stack, which nobody has come to
	err       error
}

// Bounds of the search.
const (
	maxText     = 256 << 20 // bytes of text that are looked at
	textPiece   = 1 << 20
	stackMargin = 32 << 10 // how far from the stack's low end the main thread must be
)

func (c *returnCode) found() bool { return c.call != 0 && c.sigreturn != 0 }

// findReturnCode looks through the text of the program and its libraries, while
// it runs.
func findReturnCode(pid int) returnCode {
	var c returnCode
	if !canTwin {
		return c
	}
	all, _, err := readMappings(pid)
	if err != nil {
		c.err = err
		return c
	}
	looked := uint64(0)
	buf := make([]byte, textPiece+16)
	for _, m := range all {
		if m.path == "[stack]" {
			c.stack = m.start
		}
		if m.perm[2] != 'x' || m.perm[0] != 'r' || strings.HasPrefix(m.path, "[") {
			continue
		}
		for at := m.start; at < m.end && !c.found() && looked < maxText; at += textPiece {
			text := buf[:min(uint64(len(buf)), m.end-at)] // a little of the next piece, too
			text = text[:readMemory(pid, at, text)]
			looked += textPiece
			c.find(text, at)
		}
	}
	return c
}

// usable says why no thread of the process could put itself back.
func (c *returnCode) usable(threads []*thread, pid int) error {
	switch {
	case c.err != nil:
		return c.err
	case !c.found():
		return fmt.Errorf("%w: neither the program nor a library of it has the code by which a thread would put itself back, should we be killed", errNoTwin)
	case c.stack == 0:
		return fmt.Errorf("%w: it has no stack that is known to be free", errNoTwin)
	}
	for _, t := range threads {
		if sp := spOf(t.regs); t.tid == pid && sp >= c.stack && sp < c.stack+stackMargin {
			return fmt.Errorf("%w: the stack of its main thread is almost used up", errNoTwin)
		}
	}
	return nil
}

// prepare writes the frame by which a thread puts itself back, and returns the
// stack pointer for it.
func (c *returnCode) prepare(pid int, t *thread, mask uint64) (sp uint64, err error) {
	sp = (c.stack + 63) &^ 63
	frame := returnFrame(t, mask, c.sigreturn, sp)
	local := []unix.Iovec{{Base: &frame[0], Len: uint64(len(frame))}}
	remote := []unix.RemoteIovec{{Base: uintptr(sp), Len: len(frame)}}
	n, err := unix.ProcessVMWritev(pid, local, remote, 0)
	if err != nil || n != len(frame) {
		return 0, fmt.Errorf("%w: cannot write to the stack of process %d (%d bytes): %w", errNoTwin, pid, n, err)
	}
	return sp, nil
}
