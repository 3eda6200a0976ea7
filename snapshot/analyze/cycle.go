package analyze

import "github.com/vigil-supervisor/vigil/snapshot"

// maxCycles bounds the cycles that are reported.
const maxCycles = 32

// Cycles finds the deadlocks in a wait-for graph in which each goroutine waits
// for at most one other. A cycle starts at its lowest goroutine id and is
// certain when all its edges are.
func Cycles(waits []snapshot.Wait) []snapshot.Cycle {
	next := map[int64]snapshot.Wait{}
	for _, w := range waits {
		if w.Holder != 0 {
			next[w.Waiter] = w
		}
	}
	var cycles []snapshot.Cycle
	seen := map[int64]int{} // goroutine -> number of the walk that met it
	for walk, w := range waits {
		at := w.Waiter
		for seen[at] == 0 {
			seen[at] = walk + 1
			edge, ok := next[at]
			if !ok {
				break
			}
			at = edge.Holder
		}
		if _, ok := next[at]; ok && seen[at] == walk+1 && len(cycles) < maxCycles {
			if c := cycleFrom(at, next); len(c.Members) > 0 {
				cycles = append(cycles, c)
			}
		}
	}
	return cycles
}

// cycleFrom walks the cycle that at is a member of.
func cycleFrom(at int64, next map[int64]snapshot.Wait) snapshot.Cycle {
	c := snapshot.Cycle{Certain: true}
	lowest := 0
	for g := at; ; {
		edge, ok := next[g]
		if !ok {
			return snapshot.Cycle{}
		}
		if g < at && (len(c.Members) == 0 || g < c.Members[lowest]) {
			lowest = len(c.Members)
		}
		c.Members = append(c.Members, g)
		c.Certain = c.Certain && edge.Certain
		if g = edge.Holder; g == at {
			break
		}
	}
	c.Members = append(c.Members[lowest:len(c.Members):len(c.Members)], c.Members[:lowest]...)
	return c
}
