package analyze

import "github.com/vigil-supervisor/vigil/snapshot"

// maxEdges bounds the edges of a graph that are looked at.
const maxEdges = 1 << 20

// graph is a wait-for graph with dense numbers for ids, in compressed rows: the
// edges of node n are edge[row[n]:row[n+1]]. All that walks it is linear.
type graph struct {
	ids  []int64
	of   map[int64]int32 // id -> number
	row  []int32
	edge []arc
	back []int32 // rows of from
	from []arc   // the same edges the other way round: to is the waiter
}

// arc is one edge. A target of -1 is somebody unknown.
type arc struct {
	to      int32
	any     bool
	certain bool
}

func newGraph(waits []snapshot.Wait) *graph {
	waits = waits[:min(len(waits), maxEdges)]
	g := &graph{of: make(map[int64]int32, len(waits))}
	for _, w := range waits {
		g.number(w.Waiter)
		if w.Holder != 0 {
			g.number(w.Holder)
		}
	}
	n := len(g.ids)
	g.row, g.back = make([]int32, n+1), make([]int32, n+1)
	for _, w := range waits {
		g.row[g.of[w.Waiter]+1]++
		if w.Holder != 0 {
			g.back[g.of[w.Holder]+1]++
		}
	}
	for i := range n {
		g.row[i+1] += g.row[i]
		g.back[i+1] += g.back[i]
	}
	g.edge, g.from = make([]arc, g.row[n]), make([]arc, g.back[n])
	nextEdge, nextFrom := append([]int32(nil), g.row...), append([]int32(nil), g.back...)
	for _, w := range waits {
		waiter, a := g.of[w.Waiter], arc{-1, w.Any, w.Certain}
		if w.Holder != 0 {
			a.to = g.of[w.Holder]
			g.from[nextFrom[a.to]] = arc{waiter, w.Any, w.Certain}
			nextFrom[a.to]++
		}
		g.edge[nextEdge[waiter]] = a
		nextEdge[waiter]++
	}
	return g
}

func (g *graph) number(id int64) {
	if _, known := g.of[id]; !known {
		g.of[id] = int32(len(g.ids))
		g.ids = append(g.ids, id)
	}
}

func (g *graph) edges(n int32) []arc   { return g.edge[g.row[n]:g.row[n+1]] }
func (g *graph) waiters(n int32) []arc { return g.from[g.back[n]:g.back[n+1]] }

// dead finds who can never go on. Whoever waits for nobody known can go on;
// from there it spreads to those who wait only for such, or for one such as an
// alternative. What it does not reach is dead: in a cycle, in a knot of
// alternatives that all lead back, or behind one.
func (g *graph) dead() []bool {
	n := len(g.ids)
	all := make([]int32, n)         // how many edges hold it that are no alternatives
	alternatives := make([]bool, n) // whether its alternatives hold it
	dead := make([]bool, n)
	var alive []int32
	settle := func(i int32) {
		if dead[i] && all[i] == 0 && !alternatives[i] {
			dead[i] = false
			alive = append(alive, i)
		}
	}
	for i := range int32(n) {
		dead[i] = true
		all[i], alternatives[i] = g.held(i)
		settle(i)
	}
	for len(alive) > 0 {
		to := alive[len(alive)-1]
		alive = alive[:len(alive)-1]
		for _, a := range g.waiters(to) {
			if a.any {
				alternatives[a.to] = false
			} else {
				all[a.to]--
			}
			settle(a.to)
		}
	}
	return dead
}

// held counts what holds a node: an edge to somebody unknown holds nobody, and
// as an alternative it may wake the waiter at any time.
func (g *graph) held(n int32) (all int32, alternatives bool) {
	open := false
	for _, a := range g.edges(n) {
		switch {
		case a.any && a.to < 0:
			open = true
		case a.any:
			alternatives = true
		case a.to >= 0:
			all++
		}
	}
	return all, alternatives && !open
}
