package golang

import (
	"encoding/binary"
	"fmt"
)

// fields are the offsets of what is read of each runtime.g, in this build.
type fields struct {
	goid, status, reason, since, gopc, startpc, lo, hi, sp, pc, bp, labels uint64
	panics, sig, sigcode1, sigpc                                           uint64
	size                                                                   uint64 // bytes of a g that hold all of them
}

// absent is the offset of a field that this version of Go does not have.
const absent = ^uint64(0)

// gFields looks the offsets up. Without one of the vital ones there is an error.
func (r *reading) gFields() (f fields, err error) {
	for _, x := range []struct {
		to    *uint64
		name  string
		vital bool
	}{
		{&f.goid, "goid", true}, {&f.status, "atomicstatus", true}, {&f.reason, "waitreason", true}, {&f.gopc, "gopc", true},
		{&f.lo, "stack.lo", true}, {&f.hi, "stack.hi", true},
		{&f.sp, "sched.sp", true}, {&f.pc, "sched.pc", true}, {&f.bp, "sched.bp", true},
		{&f.since, "waitsince", false}, {&f.startpc, "startpc", false}, {&f.labels, "labels", false}, {&f.panics, "_panic", false},
		{&f.sig, "sig", false}, {&f.sigcode1, "sigcode1", false}, {&f.sigpc, "sigpc", false},
	} {
		at, err := r.offset("runtime.g", x.name)
		switch {
		case err != nil && x.vital:
			return f, fmt.Errorf("cannot find runtime.g.%s: %w", x.name, err)
		case err != nil:
			at = absent
		case at > 1<<16:
			return f, fmt.Errorf("cannot use runtime.g.%s: its offset is %#x", x.name, at)
		default:
			f.size = max(f.size, at+8)
		}
		*x.to = at
	}
	return f, nil
}

// gState is what the runtime keeps of one goroutine.
type gState struct {
	index          int // in runtime.allgs
	addr           uint64
	id             int64
	status         uint64
	reason         byte
	since          int64 // nanotime at which a collection found it blocked; 0: none has
	gopc, startpc  uint64
	lo, hi         uint64
	pc, sp, bp     uint64 // where it goes on when it is scheduled
	labels, panics uint64
}

// state reads one goroutine with one read.
func (m *image) state(f *fields, index int, addr uint64, buf []byte) (g gState, err error) {
	buf = buf[:f.size]
	if err := m.read(buf, addr); err != nil {
		return g, fmt.Errorf("cannot read the g at %#x: %w", addr, err)
	}
	word := func(at uint64) uint64 {
		if at == absent {
			return 0
		}
		return binary.LittleEndian.Uint64(buf[at:])
	}
	return gState{
		index: index, addr: addr, id: int64(word(f.goid)), status: uint64(binary.LittleEndian.Uint32(buf[f.status:])), reason: buf[f.reason],
		since: int64(word(f.since)), gopc: word(f.gopc), startpc: word(f.startpc), lo: word(f.lo), hi: word(f.hi),
		pc: word(f.pc), sp: word(f.sp), bp: word(f.bp), labels: word(f.labels), panics: word(f.panics),
	}, nil
}
