package capture

import "encoding/binary"

// canTwin: the twin was tried here.
const canTwin = true

// callInstruction is syscall.
const callInstruction = "\x0f\x05"

// Offsets in user_regs_struct, <sys/user.h>.
const (
	raxAt = 10 * 8
	// Arguments of a system call: rdi, rsi, rdx, r10, r8, r9 (syscall(2)).
	rdiAt, rsiAt, rdxAt, r10At, r8At, r9At = 14 * 8, 13 * 8, 12 * 8, 7 * 8, 9 * 8, 8 * 8
)

var argumentsAt = [6]int{rdiAt, rsiAt, rdxAt, r10At, r8At, r9At}

// syscallOf is the number of the system call that the thread is in; negative:
// it is in none.
func syscallOf(regs []byte) int64 {
	return int64(binary.LittleEndian.Uint64(regs[syscallAt:]))
}

func resultOf(regs []byte) int64 { return int64(binary.LittleEndian.Uint64(regs[raxAt:])) }

// withCall returns a copy of registers that calls something: at the address of a
// system call instruction.
func withCall(regs []byte, at uint64, nr uintptr, args ...uintptr) []byte {
	r := append([]byte(nil), regs...)
	binary.LittleEndian.PutUint64(r[pcAt:], at)
	binary.LittleEndian.PutUint64(r[raxAt:], uint64(nr))
	binary.LittleEndian.PutUint64(r[syscallAt:], ^uint64(0)) // in none, so none is called again
	for i, offset := range argumentsAt {
		v := uint64(0)
		if i < len(args) {
			v = uint64(args[i])
		}
		binary.LittleEndian.PutUint64(r[offset:], v)
	}
	return r
}
