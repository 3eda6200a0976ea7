package native

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const sysFutex = unix.SYS_FUTEX

// pthreadTID is the offset of the TID in struct pthread.
const pthreadTID = 0xd0

// registers are those that a walk over frame pointers starts from: x29 is the
// frame pointer, x30 the return address of a leaf (AAPCS64).
func registers(r *unix.PtraceRegs) (pc, sp, fp, lr uint64) {
	return r.Pc, r.Sp, r.Regs[29], r.Regs[30]
}

// afterCall says whether the code before a return address is BL or BLR.
func afterCall(code []byte) bool {
	if len(code) < 4 {
		return false
	}
	in := binary.LittleEndian.Uint32(code[len(code)-4:])
	return in>>26 == 0b100101 || in&0xfffffc1f == 0xd63f0000
}
