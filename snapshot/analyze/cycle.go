package analyze

import (
	"cmp"
	"slices"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of the cycles that are reported.
const (
	maxCycles = 32
	maxStarts = 16   // members of a knot from which its shortest cycle is looked for
	maxSmall  = 1024 // members of a knot for which that is worth it
)

// Cycles finds the deadlocks in a wait-for graph: among those who can never go
// on, each knot gives its shortest cycle found. A waiter with alternatives (a
// select) is in one only when all of them lead back into it. A cycle starts at
// its lowest id and is certain when all its edges are; Behind is how many others
// wait for a member, directly or not, and can never go on because of that. Most
// behind first. It takes time linear in the number of edges.
func Cycles(waits []snapshot.Wait) []snapshot.Cycle {
	g := newGraph(waits)
	dead := g.dead()
	var cycles []snapshot.Cycle
	for _, knot := range g.knots(dead) {
		c := g.cycleIn(knot)
		cycles = append(cycles, snapshot.Cycle{Members: g.named(c), Certain: g.certain(c), Behind: g.behind(knot.nodes, dead) - len(c)})
		if len(cycles) == maxCycles {
			break
		}
	}
	slices.SortStableFunc(cycles, func(a, b snapshot.Cycle) int {
		return cmp.Or(cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.Members[0], b.Members[0]))
	})
	return cycles
}

// knot is a strongly connected component with at least one cycle.
type knot struct {
	nodes  []int32
	number int32
	of     []int32 // number of the component of each node; shared
}

func (k knot) has(n int32) bool { return k.of[n] == k.number }

// knots are the strongly connected components of the dead nodes that have an
// edge inside, by Tarjan's algorithm without recursion.
func (g *graph) knots(dead []bool) []knot {
	n := len(g.ids)
	t := tarjan{graph: g, dead: dead, index: make([]int32, n), low: make([]int32, n), of: make([]int32, n)}
	for i := range int32(n) {
		if dead[i] && t.index[i] == 0 {
			t.walk(i)
		}
	}
	return t.knots
}

type tarjan struct {
	*graph
	dead       []bool
	index, low []int32 // from 1; 0: not seen
	of         []int32 // component, from 1; 0: none yet
	next       int32
	stack      []int32
	components int32
	knots      []knot
}

func (t *tarjan) enter(n int32) {
	t.next++
	t.index[n], t.low[n] = t.next, t.next
	t.stack = append(t.stack, n)
}

func (t *tarjan) walk(root int32) {
	type step struct {
		node int32
		edge int // the next to follow
	}
	path := []step{{root, 0}}
	t.enter(root)
	for len(path) > 0 {
		at := &path[len(path)-1]
		if edges := t.edges(at.node); at.edge < len(edges) {
			to := edges[at.edge].to
			at.edge++
			switch {
			case to < 0 || !t.dead[to]:
			case t.index[to] == 0:
				t.enter(to)
				path = append(path, step{to, 0})
			case t.of[to] == 0:
				t.low[at.node] = min(t.low[at.node], t.index[to])
			}
			continue
		}
		node := at.node
		path = path[:len(path)-1]
		if len(path) > 0 {
			up := path[len(path)-1].node
			t.low[up] = min(t.low[up], t.low[node])
		}
		if t.low[node] == t.index[node] {
			t.leave(node)
		}
	}
}

// leave closes the component whose first node is root.
func (t *tarjan) leave(root int32) {
	t.components++
	start := len(t.stack) - 1
	for t.stack[start] != root {
		start--
	}
	nodes := slices.Clone(t.stack[start:])
	t.stack = t.stack[:start]
	for _, n := range nodes {
		t.of[n] = t.components
	}
	loop := slices.ContainsFunc(t.edges(root), func(a arc) bool { return a.to == root })
	if len(nodes) > 1 || loop {
		slices.SortFunc(nodes, func(a, b int32) int { return cmp.Compare(t.ids[a], t.ids[b]) })
		t.knots = append(t.knots, knot{nodes, t.components, t.of})
	}
}

// cycleIn finds a short cycle of a knot: the shortest of those through one of
// its first members.
func (g *graph) cycleIn(k knot) []int32 {
	var best []int32
	for _, start := range k.nodes[:min(len(k.nodes), maxStarts)] {
		if c := g.cycleThrough(start, k); len(c) > 0 && (len(best) == 0 || len(c) < len(best)) {
			best = c
		}
		if len(best) > 0 && len(best) <= 2 || len(k.nodes) > maxSmall {
			break
		}
	}
	// It begins with its lowest id.
	lowest := 0
	for i, n := range best {
		if g.ids[n] < g.ids[best[lowest]] {
			lowest = i
		}
	}
	return append(best[lowest:len(best):len(best)], best[:lowest]...)
}

// cycleThrough searches breadth first from start back to start.
func (g *graph) cycleThrough(start int32, k knot) []int32 {
	cameFrom := map[int32]int32{}
	for todo := []int32{start}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		for _, a := range g.edges(at) {
			if a.to == start {
				var c []int32
				for n := at; n != start; n = cameFrom[n] {
					c = append(c, n)
				}
				c = append(c, start)
				slices.Reverse(c)
				return c
			}
			if a.to < 0 || !k.has(a.to) {
				continue
			}
			if _, seen := cameFrom[a.to]; !seen {
				cameFrom[a.to] = at
				todo = append(todo, a.to)
			}
		}
	}
	return nil
}

// certain reports whether each step of a cycle has an edge that is certain.
func (g *graph) certain(cycle []int32) bool {
	for i, n := range cycle {
		next := cycle[(i+1)%len(cycle)]
		if !slices.ContainsFunc(g.edges(n), func(a arc) bool { return a.to == next && a.certain }) {
			return false
		}
	}
	return true
}

// behind counts the dead nodes that reach one of these, themselves included.
func (g *graph) behind(nodes []int32, dead []bool) int {
	seen := make(map[int32]bool, len(nodes))
	todo := slices.Clone(nodes)
	for _, n := range nodes {
		seen[n] = true
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, a := range g.waiters(at) {
			if dead[a.to] && !seen[a.to] {
				seen[a.to] = true
				todo = append(todo, a.to)
			}
		}
	}
	return len(seen)
}

func (g *graph) named(nodes []int32) []int64 {
	out := make([]int64, len(nodes))
	for i, n := range nodes {
		out[i] = g.ids[n]
	}
	return out
}
