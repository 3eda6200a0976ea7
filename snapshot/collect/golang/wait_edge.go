package golang

import (
	"slices"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Bounds of edges that are alternatives.
const (
	maxAlternatives = 16      // of one want
	maxShown        = 4       // of one want that is not proven to be without hope
	maxCrowd        = 16      // that wait for the same, for whom alternatives are shown
	maxOpen         = 4096    // goroutines whose waits without proof are shown
	maxGuesses      = 1 << 18 // edges of the first guess
)

// side is one side of what is waited for: all who wait for a lock, or all who
// send on a channel.
type side struct {
	address uint64
	send    bool
}

func sideOf(w want) side { return side{w.address, sending(w.kind)} }

// sides lists who waits on each side.
func (g *graph) sides() map[side]map[int64]bool {
	if g.waiting != nil {
		return g.waiting
	}
	g.waiting = map[side]map[int64]bool{}
	for i := range g.actors {
		for _, w := range g.actors[i].wants {
			s := sideOf(w)
			if g.waiting[s] == nil {
				g.waiting[s] = map[int64]bool{}
			}
			g.waiting[s][g.actors[i].id] = true
		}
	}
	return g.waiting
}

// holders are those who have a pointer to what is waited for and do not wait on
// the same side of it.
func (g *graph) holders(w want) []int64 {
	if list, known := g.held[sideOf(w)]; known || w.end == 0 {
		return list
	}
	waiting := g.sides()[sideOf(w)]
	var list []int64
	for _, id := range g.found[w.start] {
		if !waiting[id] {
			list = append(list, id)
		}
	}
	g.held[sideOf(w)] = list
	return list
}

// alternatives are the edges to those who could give a goroutine what it wants.
func (g *graph) alternatives(a *actor, most int) (list []snapshot.Wait) {
	for _, w := range a.wants {
		n := 0
		for _, id := range g.couldWake(a, w) {
			if n++; n > most {
				break
			}
			list = append(list, g.alternative(a, w, id))
		}
	}
	return list
}

func (g *graph) alternative(a *actor, w want, holder int64) snapshot.Wait {
	return snapshot.Wait{Waiter: a.id, Kind: w.kind, Address: w.address, Holder: holder, Any: true, Place: g.places[a.id]}
}

// couldWake are the holders, but of a lock that a writer waits for: a reader may
// hold it who wants it once more and is held up by that writer.
func (g *graph) couldWake(a *actor, w want) []int64 {
	list := g.holders(w)
	switch w.kind {
	case writeLock:
		return append(slices.Clip(list), g.queued(w.address, readLock)...)
	case readLock:
		return append(slices.Clip(list), g.queued(w.address, writeLock)...)
	}
	return list
}

// queued are those who wait for a lock in one way.
func (g *graph) queued(lock uint64, kind string) []int64 {
	if g.inQueue == nil {
		g.inQueue = map[want][]int64{}
		for i := range g.actors {
			if a := &g.actors[i]; len(a.wants) == 1 && lockKind(a.wants[0].kind) {
				key := want{kind: a.wants[0].kind, address: a.wants[0].address}
				g.inQueue[key] = append(g.inQueue[key], a.id)
			}
		}
	}
	return g.inQueue[want{kind: kind, address: lock}]
}

// guesses are the edges as if nobody were anywhere but on stacks: who is in no
// cycle of theirs is in none.
func (g *graph) guesses(locks []snapshot.Wait) []snapshot.Wait {
	held := map[int64]bool{}
	for _, w := range locks {
		if w.Holder != 0 {
			held[w.Waiter] = true
		}
	}
	list := slices.Clone(locks)
	for i := range g.actors {
		a := &g.actors[i]
		if a.known && !held[a.id] && len(list) < maxGuesses {
			list = append(list, g.alternatives(a, maxAlternatives)...)
		}
	}
	return list
}

// edges are those of all that is no lock with a known holder. Who is stuck is
// held by its alternatives; anybody else may be woken by somebody unknown too.
func (g *graph) edges(stuck map[int64]bool) (list []snapshot.Wait) {
	open := 0
	for i := range g.actors {
		a := &g.actors[i]
		_, shown := g.places[a.id]
		switch {
		case stuck[a.id] && len(a.wants) > 0:
			list = append(list, g.alternatives(a, maxAlternatives)...)
		case !shown || !waitsForOthers(a.reason) || a.reason == selecting+" (no cases)":
		case open == maxOpen:
			g.note("of those that wait for channels and the like, the first %d are in the wait-for graph", maxOpen)
			return list
		default:
			open++
			list = append(list, g.openEdges(a)...)
		}
	}
	return list
}

// openEdges are those of one that may be woken by somebody unknown.
func (g *graph) openEdges(a *actor) (list []snapshot.Wait) {
	if len(a.wants) == 0 {
		return []snapshot.Wait{{Waiter: a.id, Kind: a.reason, Any: !forEver(a.reason), Place: g.places[a.id]}}
	}
	for _, w := range a.wants {
		if len(g.sides()[sideOf(w)]) > maxCrowd {
			continue
		}
		for _, id := range g.holders(w)[:min(len(g.holders(w)), maxShown)] {
			list = append(list, g.alternative(a, w, id))
		}
	}
	return append(list, g.alternative(a, a.wants[0], 0))
}

// suspected reports whether the guesses have a cycle that the locks alone do not
// have.
func suspected(guesses []snapshot.Wait, locks []snapshot.Cycle) bool {
	for _, c := range analyze.Cycles(guesses) {
		if !slices.ContainsFunc(locks, func(l snapshot.Cycle) bool { return slices.Equal(l.Members, c.Members) }) {
			return true
		}
	}
	return false
}
