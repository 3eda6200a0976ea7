package native

import "golang.org/x/sys/unix"

const sysFutex = unix.SYS_FUTEX

// pthreadTID is the offset of the TID in struct pthread.
const pthreadTID = 0x2d0

// registers are those that a walk over frame pointers starts from.
func registers(r *unix.PtraceRegs) (pc, sp, fp, lr uint64) { return r.Rip, r.Rsp, r.Rbp, 0 }

// afterCall says whether the code before a return address is a call: e8 rel32,
// or ff /2 with its operand (Intel SDM, CALL).
func afterCall(code []byte) bool {
	n := len(code)
	if n >= 5 && code[n-5] == 0xe8 {
		return true
	}
	for _, size := range [...]int{2, 3, 4, 6, 7} {
		if n >= size && code[n-size] == 0xff && code[n-size+1]>>3&7 == 2 {
			return true
		}
	}
	return false
}
