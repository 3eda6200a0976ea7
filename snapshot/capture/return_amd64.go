package capture

import (
	"bytes"
	"encoding/binary"
)

// A thread that is made to call something is put back by us. Should we be killed
// before, it puts itself back: the stack that it is given begins with the address
// of code that calls rt_sigreturn(2), which a C library and Go's runtime have for
// the end of signal handlers, and then holds what a handler of a signal would
// have been given to return from: all registers, and the signal mask. Only the
// upper parts of the vector registers are lost.

// The two pieces of code, which are looked for in the program and its libraries.
var (
	codeCallReturn = []byte{0x0f, 0x05, 0xc3}                                            // syscall; ret
	codeSigReturn  = []byte{0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}                 // mov $15, %rax; syscall
	codeSigReturn2 = []byte{0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05}                             // mov $15, %eax; syscall
	registersSP    = 19 * 8                                                              // rsp in user_regs_struct
	gregsOfFrame   = []int{9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16, 18} // r8 ... eflags of struct sigcontext, as indices of user_regs_struct
)

// Offsets in struct rt_sigframe of x86-64, arch/x86/include/asm/sigframe.h and
// uapi/asm/sigcontext.h: the return address, then struct ucontext.
const (
	frameAltFlags = 8 + 24          // uc_stack.ss_flags
	frameRegs     = 8 + 40          // uc_mcontext
	frameSegments = frameRegs + 144 // cs, gs, fs, ss
	frameFloating = frameRegs + 184 // pointer to the floating point state
	frameMask     = 8 + 40 + 256
	frameFPState  = 320 // where we put that state: 64-byte aligned
	frameSize     = frameFPState + 512
)

// findCode looks for the two pieces in a part of the program's text.
func (c *returnCode) find(text []byte, at uint64) {
	if c.call == 0 {
		if i := bytes.Index(text, codeCallReturn); i >= 0 {
			c.call = at + uint64(i)
		}
	}
	for _, code := range [][]byte{codeSigReturn, codeSigReturn2} {
		if c.sigreturn == 0 {
			if i := bytes.Index(text, code); i >= 0 {
				c.sigreturn = at + uint64(i)
			}
		}
	}
}

// returnFrame makes the stack of a thread that puts itself back: as it was, or,
// where it was in a system call that we interrupted, before it. It is for the
// address at, a multiple of 64.
func returnFrame(t *thread, mask, sigreturn, at uint64) []byte {
	f := make([]byte, frameSize)
	put64 := func(offset int, v uint64) { binary.LittleEndian.PutUint64(f[offset:], v) }
	reg := func(i int) uint64 { return binary.LittleEndian.Uint64(t.regs[i*8:]) }
	put64(0, sigreturn)
	put64(8, 2|4) // UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
	// No alternate stack has such flags: the kernel leaves the present one alone.
	binary.LittleEndian.PutUint32(f[frameAltFlags:], 0x7fff)
	for i, r := range gregsOfFrame {
		put64(frameRegs+8*i, reg(r))
	}
	if restarts(resultOf(t.regs)) && syscallOf(t.regs) >= 0 {
		put64(frameRegs+8*13, uint64(syscallOf(t.regs)))                 // rax
		put64(frameRegs+8*16, pcOf(t.regs)-uint64(len(callInstruction))) // rip
	}
	binary.LittleEndian.PutUint16(f[frameSegments:], uint16(reg(17)))   // cs
	binary.LittleEndian.PutUint16(f[frameSegments+6:], uint16(reg(20))) // ss
	put64(frameMask, mask)
	if len(t.extra) >= 512 {
		put64(frameFloating, at+frameFPState)
		copy(f[frameFPState:], t.extra[:464]) // what follows would promise more than there is
	}
	return f
}

// restarts reports whether a system call ended with one of the kernel's own
// errors, include/linux/errno.h: it is called again, or so it looks.
func restarts(result int64) bool {
	switch result {
	case -512, -513, -514, -516: // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK
		return true
	}
	return false
}

// withStack returns a copy of registers with another stack pointer.
func withStack(regs []byte, sp uint64) []byte {
	r := append([]byte(nil), regs...)
	binary.LittleEndian.PutUint64(r[registersSP:], sp)
	return r
}
