package golang

import "github.com/vigil-supervisor/vigil/snapshot"

// Bounds of the semaphores' table.
const (
	maxWaiters   = 10_000
	roots        = 251 // semTabSize of runtime/sema.go
	maxTreeDepth = 1 << 16
)

// semaphores is who queues at which semaphore.
type semaphores struct {
	order  []uint64          // addresses of runtime.g, as found
	at     map[uint64]uint64 // of a runtime.g, the address of the semaphore's word
	sudogs []uint64
	whole  bool // all were read
}

// semaphores walks runtime.semtable: each root is a tree of sudogs by prev and
// next, each node a queue by waitlink.
func (r *reading) semaphores(o offsets) semaphores {
	list := semaphores{at: map[uint64]uint64{}}
	first, err := r.address("runtime.semtable[0].root.treap")
	if err != nil {
		return list
	}
	second, err := r.address("runtime.semtable[1].root.treap")
	if err != nil || second <= first {
		return list
	}
	seen := map[uint64]bool{}
	add := func(sudog, sema uint64) {
		seen[sudog] = true
		waiter := r.word(sudog + o.g)
		list.order, list.sudogs = append(list.order, waiter), append(list.sudogs, sudog)
		list.at[waiter] = sema
	}
	for i := range uint64(roots) {
		todo := []uint64{r.word(first + i*(second-first))}
		for len(todo) > 0 && len(list.order) < maxWaiters && len(seen) < maxTreeDepth {
			s := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if s == 0 || seen[s] {
				continue
			}
			sema := r.word(s + o.elem)
			add(s, sema)
			for q := r.word(s + o.waitlink); q != 0 && !seen[q] && len(list.order) < maxWaiters; q = r.word(q + o.waitlink) {
				add(q, sema)
			}
			todo = append(todo, r.word(s+o.prev), r.word(s+o.next))
		}
	}
	list.whole = len(list.order) < maxWaiters && len(seen) < maxTreeDepth
	return list
}

// lockAddress turns the address of a semaphore's word into that of the lock, by
// the layouts of sync.Mutex (state, sema) and sync.RWMutex (Mutex, writerSem,
// readerSem, ...), unchanged since Go 1.9.
func lockAddress(sema uint64, reason string) (uint64, bool) {
	switch reason {
	case mutexLock:
		return sema - 4, true
	case writeLock:
		return sema - 8, true
	case readLock:
		return sema - 12, true
	}
	return 0, false
}

// Reasons of waiting for a lock.
const (
	mutexLock = "sync.Mutex.Lock"
	writeLock = "sync.RWMutex.Lock"
	readLock  = "sync.RWMutex.RLock"
)

func (g *graph) wantLock(a *actor) {
	sema, queued := g.sema.at[a.addr]
	if !queued {
		return
	}
	if lock, ok := lockAddress(sema, a.reason); ok {
		a.wants, a.known = []want{{kind: a.reason, address: lock}}, true
	}
}

// lockEdges has one edge for each that waits for a lock. A holder is inferred
// when exactly one goroutine that does not wait for the lock has a pointer into
// the heap object that embeds it on its stack.
func (g *graph) lockEdges() []snapshot.Wait {
	at := map[uint64]*actor{}
	blocked := map[int64]bool{}
	for i := range g.actors {
		a := &g.actors[i]
		at[a.addr] = a
		if len(a.wants) > 0 && lockKind(a.wants[0].kind) {
			blocked[a.id] = true
		}
	}
	holders := map[uint64]int64{}
	var list []snapshot.Wait
	for _, addr := range g.sema.order {
		a := at[addr]
		if a == nil || !blocked[a.id] {
			continue
		}
		w := a.wants[0]
		holder, known := holders[w.address]
		if !known {
			holder = choose(g.holders(w), blocked)
			holders[w.address] = holder
		}
		list = append(list, snapshot.Wait{Waiter: a.id, Kind: w.kind, Address: w.address, Holder: holder, Place: g.places[a.id]})
	}
	return list
}

func lockKind(kind string) bool { return kind == mutexLock || kind == writeLock || kind == readLock }

// choose picks the likely holder of a lock among the goroutines that point at
// its object: the only one, else the only one that waits for another lock
// itself; the maker of an object often has a pointer to it still. 0 when nobody
// knows which.
func choose(found []int64, blocked map[int64]bool) int64 {
	var waiting []int64
	for _, id := range found {
		if blocked[id] {
			waiting = append(waiting, id)
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(waiting) == 1:
		return waiting[0]
	}
	return 0
}
