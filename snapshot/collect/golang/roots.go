package golang

import (
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
)

// Bounds of what pointers are followed from.
const (
	maxModules     = 64
	maxSpecials    = 1 << 22
	specialSize    = 64      // bytes of the largest record, and a little
	maxBlocks4K    = 1 << 12 // of finalizers and cleanups that wait to be run
	finBlockSize   = 4 << 10 // runtime/mfinal.go
	cleanBlockSize = 512     // runtime/mcleanup.go
	maxThreads     = 1 << 16
)

// roots marks what can be reached without a goroutine that waits.
func (p *proof) roots() error {
	for _, step := range []func() error{p.processors, p.globals, p.special, p.finalizers, p.cleanups, p.threads} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// globals are the variables with pointers of all modules; all of the runtime's
// own are among them, and through them timers. What it knows of free and used
// pages has addresses of objects, by which nobody reaches them.
func (p *proof) globals() error {
	heap, err := p.eval("runtime.mheap_")
	if err != nil {
		return err
	}
	if heap.DwarfType == nil || heap.DwarfType.Size() <= 0 {
		return fmt.Errorf("%w: runtime.mheap_ has no size", errHeap)
	}
	gap := object{heap.Addr, heap.Addr + uint64(heap.DwarfType.Size())}
	at, err := p.offsetsOf("runtime.moduledata", "data", "edata", "bss", "ebss", "next")
	if err != nil {
		return err
	}
	module, err := p.address("runtime.firstmoduledata")
	if err != nil {
		return err
	}
	for range maxModules {
		for i := 0; i < 4; i += 2 {
			start, end := p.word(module+at[i]), p.word(module+at[i+1])
			if start == 0 || end < start {
				return fmt.Errorf("cannot find the global variables: they are from %#x to %#x", start, end)
			}
			if err := p.scanBut(start, end, gap); err != nil {
				return err
			}
		}
		if module = p.word(module + at[4]); module == 0 {
			return nil
		}
	}
	return errTooMuch
}

// processors marks what runtime.p have, but for their pages.
func (p *proof) processors() error {
	at, err := p.offsetsOf("runtime.p", "pcache")
	if err != nil {
		return err
	}
	all, err := p.eval("runtime.allp")
	if err != nil {
		return err
	}
	if all.Len < 0 || all.Len > maxThreads {
		return fmt.Errorf("%w: there are %d processors", errHeap, all.Len)
	}
	for i := range uint64(all.Len) {
		addr := p.word(all.Base + 8*i)
		s, start, _ := p.heap.find(addr)
		if s == nil {
			return fmt.Errorf("%w: no runtime.p at %#x", errHeap, addr)
		}
		p.hide(addr)
		if err := p.scanBut(start, start+s.size, object{addr + at[0], addr + at[0] + 8}); err != nil {
			return err
		}
	}
	return nil
}

// scanBut scans from start to end but for a gap.
func (p *proof) scanBut(start, end uint64, gap object) error {
	if gap.start < start || gap.end > end {
		return p.scan(start, end-start)
	}
	if err := p.scan(start, gap.start-start); err != nil {
		return err
	}
	return p.scan(gap.end, end-gap.end)
}

// special marks objects of which the runtime has a record: a finalizer or a
// cleanup that will run, a weak pointer. Those of profiles are among them, which
// hides one object of half a megabyte.
func (p *proof) special() error {
	at, err := p.offsetsOf("runtime.special", "next", "offset", "kind")
	if err != nil {
		return err
	}
	size := at[2] - at[1] // of the offset: 2 bytes until Go 1.23
	n := 0
	for _, s := range p.spans {
		for record := s.specials; record != 0; record = p.word(record + at[0]) {
			if n++; n > maxSpecials {
				return errTooMuch
			}
			off := p.word(record + at[1])
			if size < 8 {
				off &= 1<<(8*size) - 1
			}
			p.point(s.start + off)
			for i := uint64(0); i < specialSize; i += 8 {
				p.point(p.word(record + i))
			}
		}
	}
	return nil
}

// finalizers are those that wait to be run.
func (p *proof) finalizers() error {
	structure := "runtime.finBlock"
	if _, err := p.offset(structure, "alllink"); err != nil {
		structure = "runtime.finblock" // until Go 1.24
	}
	at, err := p.offsetsOf(structure, "alllink")
	if err != nil {
		return err
	}
	first, err := p.address("runtime.allfin")
	if err != nil {
		return err
	}
	return p.blocks(p.word(first), at[0], finBlockSize)
}

// cleanups are those that wait to be run; since Go 1.25 they have their own queue.
func (p *proof) cleanups() error {
	queue, err := p.address("runtime.gcCleanups")
	if err != nil && !p.atLeast(25) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := p.offsetsOf("runtime.cleanupQueue", "all")
	if err != nil {
		return err
	}
	at, err := p.offsetsOf("runtime.cleanupBlock", "cleanupBlockHeader.alllink")
	if err != nil {
		return err
	}
	return p.blocks(p.word(queue+all[0]), at[0], cleanBlockSize)
}

func (p *proof) blocks(block, link, size uint64) error {
	for range maxBlocks4K {
		if block == 0 {
			return nil
		}
		if err := p.scan(block, size); err != nil {
			return err
		}
		block = p.word(block + link)
	}
	return errTooMuch
}

// threads marks what is in registers, and on stacks of the runtime's own that are
// in use: with a processor, a thread may be in the middle of running a timer.
func (p *proof) threads() error {
	list := p.target.ThreadList()
	for _, th := range list {
		regs, err := th.Registers()
		if err != nil {
			return fmt.Errorf("cannot read the registers of thread %d: %w", th.ThreadID(), err)
		}
		words, err := regs.Slice(false)
		if err != nil {
			return fmt.Errorf("cannot read the registers of thread %d: %w", th.ThreadID(), err)
		}
		for _, w := range words {
			if w.Reg != nil {
				p.point(w.Reg.Uint64Val)
			}
		}
		p.tops = append(p.tops, regs.SP())
	}
	return p.runtimeStacks()
}

func (p *proof) runtimeStacks() error {
	at, err := p.offsetsOf("runtime.m", "alllink", "g0", "gsignal", "p")
	if err != nil {
		return err
	}
	bounds, err := p.offsetsOf("runtime.g", "stack.lo", "stack.hi")
	if err != nil {
		return err
	}
	first, err := p.address("runtime.allm")
	if err != nil {
		return err
	}
	stack := func(g uint64) object { return object{p.word(g + bounds[0]), p.word(g + bounds[1])} }
	for m := p.word(first); m != 0; m = p.word(m + at[0]) {
		if p.machines++; p.machines > maxThreads {
			return errTooMuch
		}
		own := stack(p.word(m + at[1]))
		if err := p.handler(stack(p.word(m+at[2])), own); err != nil {
			return err
		}
		if top := p.topIn(own.start, own.end); top != 0 && p.word(m+at[3]) != 0 {
			if err := p.scan(top, own.end-top); err != nil {
				return err
			}
		}
	}
	return nil
}

// handler marks what a handler of a signal has which runs just now: among it the
// registers of what it interrupts. If that is the runtime on its own stack, one of
// them says where.
func (p *proof) handler(signal, own object) error {
	top := p.topIn(signal.start, signal.end)
	if top == 0 {
		return nil
	}
	if err := p.scan(top, signal.end-top); err != nil {
		return err
	}
	lowest := own.end
	for at := top; at < signal.end; at += 8 {
		if v := p.word(at); v >= own.start && v < lowest {
			lowest = v &^ 7
		}
	}
	return p.scan(lowest, own.end-lowest)
}

// topIn is where a thread stands on a stack; 0 when none does.
func (p *proof) topIn(lo, hi uint64) uint64 {
	for _, top := range p.tops {
		if top >= lo && top < hi {
			return top &^ 7
		}
	}
	return 0
}

// alive marks all that a goroutine has which can go on.
func (p *proof) alive(a *actor) error {
	status := a.status &^ scanning
	if statusName(status) == "" || status == proc.Gidle {
		return nil
	}
	if s, start, _ := p.heap.find(a.addr); s != nil {
		if err := p.scan(start, s.size); err != nil {
			return err
		}
	}
	for _, w := range a.wants {
		p.point(w.address)
	}
	from := a.sp
	switch status {
	case proc.Grunnable, proc.Gwaiting, 9, 10:
	case proc.Gsyscall:
		from = p.word(a.addr + p.off.syscallsp)
	default:
		from = p.topIn(a.lo, a.hi)
	}
	if from < a.lo || from >= a.hi {
		from = a.lo // not known: all of it
	}
	from &^= 7
	return p.scan(from, a.hi-from)
}
