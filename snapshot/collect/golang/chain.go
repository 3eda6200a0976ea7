package golang

import "encoding/binary"

// maxChain is how many bytes of a stack are looked at for its frame pointers.
const maxChain = 256 << 10

// chain follows the frame pointers of a goroutine that does not run, and
// appends its return addresses to pcs: what Go's own execution tracer does since
// Go 1.21. whole says that the chain ended where a goroutine's stack ends, at
// exit, the return address into runtime.goexit, or when depth frames were found;
// any other chain is not to be believed.
//
// It stands for the identity of a stack only: functions, lines and inlined
// calls are then unwound once for all goroutines of the same chain.
func (m *image) chain(g gState, exit uint64, depth int, pcs []uint64, buf []byte) (list []uint64, whole bool) {
	pcs = append(pcs, g.pc)
	if g.bp == 0 { // not started yet: its first return address is on top
		return pcs, g.pc == g.startpc && m.word(g.sp) == exit
	}
	if g.sp < g.lo || g.sp >= g.hi || g.hi-g.sp > 1<<30 {
		return pcs, false
	}
	// Parked stacks are small: mostly one read.
	size := min(g.hi-g.sp, 2<<10, uint64(len(buf)))
	if m.read(buf[:size], g.sp) != nil {
		return pcs, false
	}
	bp := g.bp
	for len(pcs) < depth+2 {
		if bp < g.sp || bp+16 > g.hi || bp%8 != 0 {
			return pcs, false
		}
		at := bp - g.sp
		if at+16 > size {
			bigger := min(g.hi-g.sp, max(2*size, at+16), uint64(len(buf)))
			if at+16 > bigger || m.read(buf[size:bigger], g.sp+size) != nil {
				return pcs, false
			}
			size = bigger
		}
		pc := binary.LittleEndian.Uint64(buf[at+8:])
		if pc == exit {
			return pcs, true
		}
		if pc == 0 {
			return pcs, false
		}
		pcs = append(pcs, pc)
		next := binary.LittleEndian.Uint64(buf[at:])
		if next <= bp { // the stack grows down: a chain goes up
			return pcs, false
		}
		bp = next
	}
	return pcs, true
}
