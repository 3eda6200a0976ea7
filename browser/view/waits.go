package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

const maxEdgesAt = 100

// Waits draws the wait-for graph. Those that wait for the same in the same way,
// and for whom nobody waits, are one node.
func Waits(s *snapshot.Stacks) api.Waits {
	out := api.Waits{Nodes: []api.Node{}, Edges: []api.Edge{}, Cycles: []api.Cycle{}}
	if s == nil {
		out.Why = "There are no stacks in this incident."
		return out
	}
	for _, c := range s.Deadlocks {
		out.Cycles = append(out.Cycles, api.Cycle{Sentence: analyze.Deadlock(*s, c), Members: c.Members, Certain: c.Certain})
	}
	if len(s.Waits) == 0 {
		out.Why = "Nobody was seen to wait for somebody who could be named."
		return out
	}
	g := newGraph(s)
	g.draw(&out)
	switch b, ok := analyze.FindBottleneck(s.Waits); {
	case len(out.Cycles) > 0:
		out.Sentence = out.Cycles[0].Sentence
	case ok:
		out.Sentence = fmt.Sprintf("%d wait for %s, directly or not; it waits for no other.", b.Behind, g.name(b.Holder))
	}
	return out
}

// graph has what the drawing looks up.
type graph struct {
	s       *snapshot.Stacks
	group   map[int64]int // of a member
	names   map[int64]string
	next    map[[2]int64]bool // edges of cycles
	cycle   map[int64]bool
	waiters map[int64]int
}

func newGraph(s *snapshot.Stacks) graph {
	g := graph{s: s, group: map[int64]int{}, names: map[int64]string{}, next: map[[2]int64]bool{}, cycle: map[int64]bool{}, waiters: map[int64]int{}}
	involved := map[int64]bool{}
	for _, w := range s.Waits {
		involved[w.Waiter], involved[w.Holder] = true, true
		g.waiters[w.Holder]++
	}
	for i := range s.Groups {
		for _, id := range s.Groups[i].IDs {
			if involved[id] {
				g.group[id] = i
			}
		}
		for _, m := range s.Groups[i].Members {
			if involved[m.ID] {
				g.group[m.ID] = i
				g.names[m.ID] = m.Name
			}
		}
	}
	for _, c := range s.Deadlocks {
		for i, id := range c.Members {
			g.cycle[id] = true
			g.next[[2]int64{id, c.Members[(i+1)%len(c.Members)]}] = true
		}
	}
	return g
}

func (g graph) name(id int64) string {
	if id == 0 {
		return "somebody unknown"
	}
	if Noun(g.s) == "goroutine" {
		return fmt.Sprintf("g%d", id)
	}
	if n := g.names[id]; n != "" {
		return n
	}
	return fmt.Sprintf("thread %d", id)
}

// alike is what makes two waiters one node.
type alike struct {
	group   int
	holder  int64
	kind    string
	address uint64
	certain bool
}

func (g graph) draw(out *api.Waits) {
	edges := map[int64][]snapshot.Wait{}
	for _, w := range g.s.Waits {
		edges[w.Waiter] = append(edges[w.Waiter], w)
	}
	ids := map[int64]int64{} // of a member, the node that it is in
	nodes := map[int64]*api.Node{}
	merged := map[alike]int64{}
	node := func(id int64) {
		if _, ok := ids[id]; ok {
			return
		}
		at, known := g.group[id]
		if !known {
			at = -1
		}
		if w := edges[id]; len(w) == 1 && g.waiters[id] == 0 && !g.cycle[id] {
			key := alike{at, w[0].Holder, w[0].Kind, w[0].Address, w[0].Certain}
			if first, ok := merged[key]; ok {
				ids[id] = first
				nodes[first].Count++
				return
			}
			merged[key] = id
		}
		ids[id] = id
		n := &api.Node{ID: id, Count: 1, Group: at, Cycle: g.cycle[id]}
		if at >= 0 {
			n.Status = g.s.Groups[at].Status
			if r := g.s.Groups[at].WaitReason; r != "" {
				n.Status += ": " + r
			}
		}
		nodes[id] = n
	}
	for _, w := range g.s.Waits {
		node(w.Waiter)
		node(w.Holder)
	}
	out.Nodes, out.Left = g.choose(nodes)
	shown := map[int64]bool{}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		shown[n.ID] = true
		n.Label = g.name(n.ID)
		if n.Count > 1 {
			n.Label += fmt.Sprintf(" and %d more", n.Count-1)
		}
		if n.Group >= 0 {
			if f, ok := analyze.OwnFrame(g.s.Groups[n.Group].Frames); ok {
				n.Label += " " + f.Function[strings.LastIndexByte(f.Function, '/')+1:]
			}
		}
	}
	out.Edges = g.edges(ids, shown)
}

// choose keeps cycles, then those for whom most wait.
func (g graph) choose(nodes map[int64]*api.Node) (list []api.Node, left int) {
	list = []api.Node{}
	for _, n := range nodes {
		list = append(list, *n)
	}
	rank := func(n api.Node) int {
		if n.Cycle {
			return 1 << 30
		}
		return g.waiters[n.ID] + n.Count
	}
	slices.SortFunc(list, func(a, b api.Node) int { return cmp.Or(rank(b)-rank(a), cmp.Compare(a.ID, b.ID)) })
	if left = len(list) - api.MaxNodes; left > 0 {
		return list[:api.MaxNodes], left
	}
	return list, 0
}

func (g graph) edges(ids map[int64]int64, shown map[int64]bool) []api.Edge {
	type key struct {
		from, to int64
		kind     string
		address  uint64
		certain  bool
	}
	at := map[key]int{}
	list := []api.Edge{}
	for _, w := range g.s.Waits {
		k := key{ids[w.Waiter], ids[w.Holder], w.Kind, w.Address, w.Certain}
		if !shown[k.from] || !shown[k.to] {
			continue
		}
		if n, ok := at[k]; ok {
			list[n].Count++
			continue
		}
		at[k] = len(list)
		e := edge(w)
		e.From, e.To = k.from, k.to
		e.Cycle = g.next[[2]int64{w.Waiter, w.Holder}]
		list = append(list, e)
	}
	return list
}

func edge(w snapshot.Wait) api.Edge {
	e := api.Edge{From: w.Waiter, To: w.Holder, Kind: w.Kind, Name: w.Name, Certain: w.Certain, Any: w.Any, Place: w.Place, Count: 1}
	if w.Address != 0 {
		e.Address = fmt.Sprintf("%#x", w.Address)
	}
	return e
}

// edgesAt are those that begin or end at a member of a group.
func edgesAt(s *snapshot.Stacks, g *snapshot.Group) []api.Edge {
	in := map[int64]bool{}
	for _, id := range g.IDs {
		in[id] = true
	}
	list := []api.Edge{}
	for _, w := range s.Waits {
		if len(list) < maxEdgesAt && (in[w.Waiter] || in[w.Holder]) {
			list = append(list, edge(w))
		}
	}
	return list
}
