package golang

import (
	"context"
	"encoding/binary"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Bounds of the wait-for graph.
const (
	maxActors  = 1 << 18 // goroutines that the graph is made of
	maxScanned = 20_000  // goroutines whose stacks are searched for a holder
)

// offsets of fields of runtime structs in this build; absent where it has none.
type offsets struct {
	g, prev, next, waitlink, elem, c      uint64 // of sudog
	waiting, selectDone, syscallsp        uint64 // of g
	recvq, sendq, timer                   uint64 // of hchan
	notifyHead                            uint64 // of runtime.notifyList
	spans, spanStart, spanElem, arenaBase uint64
}

// actor is a goroutine in the graph.
type actor struct {
	gState
	reason string // what it waits for; "" when it does not wait
	// wants are what could wake it, one of them is enough. With known unset it
	// may be woken by something else, or is being woken just now.
	wants []want
	known bool
}

// graph is the wait-for graph while it is being made.
type graph struct {
	*reading
	off     offsets
	actors  []actor
	places  map[int64]*snapshot.Place // of those that are shown, where their own code waits
	sema    semaphores
	queues  map[uint64]*queue // of a channel
	found   pointers
	waiting map[side]map[int64]bool // see sides
	held    map[side][]int64        // see holders
	inQueue map[want][]int64        // see queued
}

// waits fills Waits and Deadlocks. Go records what a goroutine waits for, and not
// who would end that: it is inferred from pointers on stacks.
func (r *reading) waits(ctx context.Context) {
	g := &graph{reading: r, places: map[int64]*snapshot.Place{}, queues: map[uint64]*queue{}, held: map[side][]int64{}}
	if g.listPlaces(); len(g.places) == 0 {
		return
	}
	var err error
	if g.off, err = r.offsets(); err == nil {
		err = g.list()
	}
	if err != nil {
		r.lack("no wait-for graph: %v", err)
		return
	}
	g.sema = r.semaphores(g.off)
	for i := range g.actors {
		g.find(&g.actors[i])
	}
	g.search(ctx)
	locks := g.lockEdges()
	r.out.Deadlocks = analyze.Cycles(locks)
	stuck := g.prove(ctx, locks)
	r.out.Waits = append(locks, g.edges(stuck)...)
	if len(stuck) > 0 {
		r.out.Deadlocks = analyze.Cycles(r.out.Waits)
	}
	g.noteForEver()
	if len(r.out.Waits) > 0 {
		r.note("who holds a lock, or has the other side of a channel, is inferred from pointers on stacks, because Go does not record it")
	}
}

// noteForEver tells of those whom nobody can wake.
func (g *graph) noteForEver() {
	first, n := int64(0), 0
	for i := range g.actors {
		if a := &g.actors[i]; onNilChannel(a.reason) {
			if n++; n == 1 {
				first = a.id
			}
		}
	}
	if n > 0 {
		g.note("nobody can wake those that wait for a nil channel: %d, the first is goroutine %d", n, first)
	}
}

// listPlaces finds out who is to be shown in the graph.
func (g *graph) listPlaces() {
	for _, s := range g.order {
		if !analyze.IsLock(s.WaitReason) && (!waitsForOthers(s.WaitReason) || analyze.Idle(s.Group) != "") {
			continue
		}
		var place *snapshot.Place
		if f, own := analyze.OwnFrame(s.Frames); own {
			place = &f.Place
		}
		for _, id := range s.IDs {
			g.places[id] = place
		}
	}
}

// list reads the state of all goroutines.
func (g *graph) list() error {
	f, err := g.gFields()
	if err != nil {
		return err
	}
	all, err := g.eval("runtime.allgs")
	if err != nil {
		return err
	}
	buf := make([]byte, f.size)
	for i := int64(0); i < min(all.Len, maxActors); i++ {
		addr := g.word(all.Base + uint64(i)*8)
		if addr == 0 {
			continue
		}
		state, err := g.mem.state(&f, int(i), addr, buf)
		if err != nil {
			return err
		}
		_, reason := g.status(state.status, uint64(state.reason))
		g.actors = append(g.actors, actor{gState: state, reason: reason})
	}
	if all.Len > maxActors {
		g.note("the wait-for graph is that of the first %d goroutines only", maxActors)
	}
	return nil
}

// find finds out what a goroutine waits for.
func (g *graph) find(a *actor) {
	switch {
	case a.reason == "":
	case analyze.IsLock(a.reason):
		g.wantLock(a)
	case a.reason == waitGroup:
		g.wantGroup(a)
	case a.reason == condition:
		g.wantCondition(a)
	case waitsForOthers(a.reason):
		g.wantChannels(a)
	}
	for i := range a.wants {
		w := &a.wants[i]
		w.start, w.end = g.objectAt(g.off, w.address)
	}
}

func (r *reading) offsets() (o offsets, err error) {
	for _, f := range []struct {
		to            *uint64
		structure, of string
		vital         bool
	}{
		{&o.g, "runtime.sudog", "g", true}, {&o.prev, "runtime.sudog", "prev", true}, {&o.next, "runtime.sudog", "next", true},
		{&o.waitlink, "runtime.sudog", "waitlink", true}, {&o.elem, "runtime.sudog", "elem", true},
		{&o.spans, "runtime.heapArena", "spans", true},
		{&o.spanStart, "runtime.mspan", "startAddr", true}, {&o.spanElem, "runtime.mspan", "elemsize", true},
		{&o.c, "runtime.sudog", "c", false}, {&o.waiting, "runtime.g", "waiting", false},
		{&o.selectDone, "runtime.g", "selectDone", false}, {&o.syscallsp, "runtime.g", "syscallsp", false},
		{&o.recvq, "runtime.hchan", "recvq", false}, {&o.sendq, "runtime.hchan", "sendq", false}, {&o.timer, "runtime.hchan", "timer", false},
		{&o.notifyHead, "runtime.notifyList", "head", false},
	} {
		if *f.to, err = r.offset(f.structure, f.of); err != nil {
			if f.vital {
				return o, err
			}
			*f.to = absent
		}
	}
	// Go 1.26: elem and c are structs of an unsafe.Pointer for liveness and the
	// uintptr that counts; before, they were the pointers themselves.
	if at, err := r.offset("runtime.sudog", "elem.vu"); err == nil {
		o.elem = at
	}
	if at, err := r.offset("runtime.sudog", "c.maybeTraceablePtr.vu"); err == nil {
		o.c = at
	}
	arenas, err := r.eval("runtime.mheap_.arenas[0]")
	if err == nil && len(arenas.Children) == 1 {
		o.arenaBase = arenas.Children[0].Addr
	}
	return o, nil
}

// half reads a word of 32 bits; 0 when it is not in the core.
func (r *reading) half(addr uint64) uint32 {
	var buf [4]byte
	if r.mem.read(buf[:], addr) != nil {
		return 0
	}
	return binary.LittleEndian.Uint32(buf[:])
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
	if o.arenaBase == 0 || (addr+arenaOffset)>>arenaShift >= maxArenas {
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
