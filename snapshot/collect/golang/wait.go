package golang

import (
	"context"
	"encoding/binary"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Bounds of the wait-for graph.
const (
	maxWaiters   = 10_000
	maxScanned   = 20_000   // goroutines whose stacks are searched for a holder
	maxStack     = 64 << 10 // bytes of a stack that are searched, from its top
	maxLocks     = 256      // different locks whose holder is looked for
	semaphores   = 251      // semTabSize of runtime/sema.go
	maxTreeDepth = 1 << 16
)

// offsets of fields of runtime structs in this build.
type offsets struct {
	g, prev, next, waitlink, elem         uint64 // of sudog
	goid, sp, hi                          uint64 // of g
	spans, spanStart, spanElem, arenaBase uint64
}

// stackOf is a goroutine in the graph.
type stackOf struct {
	id     int64
	sp, hi uint64
}

// waiter is a goroutine in a semaphore's queue.
type waiter struct {
	g    uint64 // address of its runtime.g
	sema uint64 // address of the semaphore's word
}

// waits fills Waits and Deadlocks for mutexes. Go does not record who holds one:
// a holder is inferred when exactly one goroutine that does not wait for the
// lock has a pointer into the heap object that embeds it on its stack.
func (r *reading) waits(ctx context.Context) {
	off, err := r.offsets()
	if err != nil {
		if len(r.order) > 0 {
			r.lack("no wait-for graph: %v", err)
		}
		return
	}
	reasons := map[int64]string{}
	places := map[int64]*snapshot.Place{}
	for _, s := range r.order {
		if !analyze.IsLock(s.WaitReason) {
			continue
		}
		for _, id := range s.IDs {
			reasons[id] = s.WaitReason
			if f, own := analyze.OwnFrame(s.Frames); own {
				places[id] = &f.Place
			}
		}
	}
	if len(reasons) == 0 {
		return
	}
	stacks := r.allStacks(off)
	byLock := map[uint64][]int64{}
	for _, w := range r.waiters(off) {
		id := int64(r.word(w.g + off.goid))
		lock, ok := lockAddress(w.sema, reasons[id])
		if !ok {
			continue
		}
		byLock[lock] = append(byLock[lock], id)
		r.out.Waits = append(r.out.Waits, snapshot.Wait{Waiter: id, Kind: reasons[id], Address: lock, Place: places[id]})
	}
	holders := r.holders(ctx, off, stacks, byLock)
	for i := range r.out.Waits {
		r.out.Waits[i].Holder = holders[r.out.Waits[i].Address]
	}
	r.out.Deadlocks = analyze.Cycles(r.out.Waits)
	if len(r.out.Waits) > 0 {
		r.note("who holds a lock is inferred from pointers on stacks, because Go does not record it")
	}
}

// lockAddress turns the address of a semaphore's word into that of the lock, by
// the layouts of sync.Mutex (state, sema) and sync.RWMutex (Mutex, writerSem,
// readerSem, ...), unchanged since Go 1.9.
func lockAddress(sema uint64, reason string) (uint64, bool) {
	switch reason {
	case "sync.Mutex.Lock":
		return sema - 4, true
	case "sync.RWMutex.Lock":
		return sema - 8, true
	case "sync.RWMutex.RLock":
		return sema - 12, true
	}
	return 0, false
}

func (r *reading) offsets() (o offsets, err error) {
	for _, f := range []struct {
		to            *uint64
		structure, of string
	}{
		{&o.g, "runtime.sudog", "g"}, {&o.prev, "runtime.sudog", "prev"}, {&o.next, "runtime.sudog", "next"},
		{&o.waitlink, "runtime.sudog", "waitlink"}, {&o.elem, "runtime.sudog", "elem"},
		{&o.goid, "runtime.g", "goid"}, {&o.sp, "runtime.g", "sched.sp"}, {&o.hi, "runtime.g", "stack.hi"},
		{&o.spans, "runtime.heapArena", "spans"},
		{&o.spanStart, "runtime.mspan", "startAddr"}, {&o.spanElem, "runtime.mspan", "elemsize"},
	} {
		if *f.to, err = r.offset(f.structure, f.of); err != nil {
			return o, err
		}
	}
	// Go 1.26: elem is a struct of an unsafe.Pointer for liveness and the uintptr
	// that counts; before, it was the pointer itself.
	if at, err := r.offset("runtime.sudog", "elem.vu"); err == nil {
		o.elem = at
	}
	arenas, err := r.eval("runtime.mheap_.arenas[0]")
	if err == nil && len(arenas.Children) == 1 {
		o.arenaBase = arenas.Children[0].Addr
	}
	return o, nil
}

// allStacks lists where the stacks of all goroutines are.
func (r *reading) allStacks(o offsets) []stackOf {
	v, err := r.eval("runtime.allgs")
	if err != nil {
		return nil
	}
	var list []stackOf
	for i := int64(0); i < min(v.Len, maxScanned); i++ {
		g := r.word(v.Base + uint64(i)*8)
		if g == 0 {
			continue
		}
		s := stackOf{int64(r.word(g + o.goid)), r.word(g + o.sp), r.word(g + o.hi)}
		if s.sp != 0 && s.sp < s.hi {
			list = append(list, s)
		}
	}
	if v.Len > maxScanned {
		r.note("holders of locks were looked for in the first %d goroutines only", maxScanned)
	}
	return list
}

// waiters walks runtime.semtable: each root is a tree of sudogs by prev and
// next, each node a queue by waitlink.
func (r *reading) waiters(o offsets) []waiter {
	first, err := r.address("runtime.semtable[0].root.treap")
	if err != nil {
		return nil
	}
	second, err := r.address("runtime.semtable[1].root.treap")
	if err != nil || second <= first {
		return nil
	}
	var list []waiter
	seen := map[uint64]bool{}
	for i := range uint64(semaphores) {
		todo := []uint64{r.word(first + i*(second-first))}
		for len(todo) > 0 && len(list) < maxWaiters && len(seen) < maxTreeDepth {
			s := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if s == 0 || seen[s] {
				continue
			}
			seen[s] = true
			sema := r.word(s + o.elem)
			list = append(list, waiter{r.word(s + o.g), sema})
			for q := r.word(s + o.waitlink); q != 0 && !seen[q] && len(list) < maxWaiters; q = r.word(q + o.waitlink) {
				seen[q] = true
				list = append(list, waiter{r.word(q + o.g), sema})
			}
			todo = append(todo, r.word(s+o.prev), r.word(s+o.next))
		}
	}
	return list
}

// holders infers who holds each lock; 0 stands for unknown.
func (r *reading) holders(ctx context.Context, o offsets, stacks []stackOf, byLock map[uint64][]int64) map[uint64]int64 {
	type object struct {
		lock, start, end uint64
		waits            map[int64]bool
		found            map[int64]bool
	}
	var objects []object
	for lock, ids := range byLock {
		if len(objects) == maxLocks {
			r.note("holders were looked for of the first %d locks only", maxLocks)
			break
		}
		start, end := r.objectAt(o, lock)
		if end == 0 {
			continue // not on the heap: its address is in no stack
		}
		waits := map[int64]bool{}
		for _, id := range ids {
			waits[id] = true
		}
		objects = append(objects, object{lock, start, end, waits, map[int64]bool{}})
	}
	blocked := map[int64]bool{}
	for _, ids := range byLock {
		for _, id := range ids {
			blocked[id] = true
		}
	}
	buf := make([]byte, maxStack)
	for _, s := range stacks {
		if ctx.Err() != nil || len(objects) == 0 {
			break
		}
		part := buf[:min(s.hi-s.sp, maxStack)&^7]
		if r.mem.read(part, s.sp) != nil {
			continue
		}
		for i := 0; i+8 <= len(part); i += 8 {
			p := binary.LittleEndian.Uint64(part[i:])
			for _, ob := range objects {
				if p >= ob.start && p < ob.end && !ob.waits[s.id] {
					ob.found[s.id] = true
				}
			}
		}
	}
	holders := map[uint64]int64{}
	for _, ob := range objects {
		holders[ob.lock] = choose(ob.found, blocked)
	}
	return holders
}

// choose picks the likely holder of a lock among the goroutines that point at
// its object: the only one, else the only one that waits for another lock
// itself; the maker of an object often has a pointer to it still. 0 when nobody
// knows which.
func choose(found, blocked map[int64]bool) int64 {
	var all, waiting []int64
	for id := range found {
		all = append(all, id)
		if blocked[id] {
			waiting = append(waiting, id)
		}
	}
	switch {
	case len(all) == 1:
		return all[0]
	case len(waiting) == 1:
		return waiting[0]
	}
	return 0
}

// Shape of the heap on linux/amd64 and arm64, runtime/malloc.go: arenas of
// 64 MiB, pages of 8 KiB. Addresses of amd64 are sign-extended, hence the shift.
const (
	arenaShift = 26
	arenaMask  = 1<<arenaShift - 1
	heapPage   = 13
)

// objectAt returns the bounds of the heap object around an address, 0, 0 when
// there is none.
func (r *reading) objectAt(o offsets, addr uint64) (start, end uint64) {
	if o.arenaBase == 0 {
		return 0, 0
	}
	arena := r.word(o.arenaBase + 8*((addr+arenaOffset)>>arenaShift))
	if arena == 0 {
		return 0, 0
	}
	span := r.word(arena + o.spans + 8*((addr&arenaMask)>>heapPage))
	if span == 0 {
		return 0, 0
	}
	first, size := r.word(span+o.spanStart), r.word(span+o.spanElem)
	if size == 0 || addr < first {
		return 0, 0
	}
	start = first + (addr-first)/size*size
	return start, start + size
}
