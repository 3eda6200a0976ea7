package order

import (
	"slices"
	"strings"
)

// Node is one service and the names of others that it comes after. Names that
// belong to no node are ignored, except that a service never starts which
// requires one.
type Node struct {
	Name        string
	After       []string
	Requires    []string
	RestartWith []string
}

// Graph is the order of services. It does not change.
type Graph struct {
	nodes  []node // each after those that it comes after
	byName map[string]int
}

// node is a Node whose names are resolved: places in Graph.nodes, all of them
// lower than its own, ascending.
type node struct {
	name     string
	before   []int // it comes after these, for whatever reason
	requires []int
	restart  []int
	missing  []string // required, and nowhere
	later    []int    // these come after it
	level    int
}

// New makes the order of nodes. Where they leave it open it goes by name.
func New(nodes []Node) *Graph {
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	sorted = slices.CompactFunc(sorted, func(a, b Node) bool { return a.Name == b.Name })
	b := builder{given: map[string]Node{}, graph: &Graph{byName: map[string]int{}}, open: map[string]bool{}}
	for _, n := range sorted {
		b.given[n.Name] = n
	}
	for _, n := range sorted {
		if _, placed := b.graph.byName[n.Name]; !placed {
			b.place(n.Name)
		}
	}
	return b.graph
}

// builder puts nodes behind what they come after, depth first.
type builder struct {
	given map[string]Node
	graph *Graph
	open  map[string]bool // on the path: what leads here closes a circle
}

func (b *builder) place(name string) {
	n := b.given[name]
	b.open[name] = true
	for _, list := range [][]string{n.After, n.Requires, n.RestartWith} {
		for _, other := range list {
			_, exists := b.given[other]
			if _, placed := b.graph.byName[other]; exists && !placed && !b.open[other] {
				b.place(other)
			}
		}
	}
	b.open[name] = false
	b.add(n)
}

func (b *builder) add(n Node) {
	g := b.graph
	at := len(g.nodes)
	m := node{name: n.Name, requires: b.places(n.Requires), restart: b.places(n.RestartWith)}
	m.before = slices.Concat(b.places(n.After), m.requires, m.restart)
	slices.Sort(m.before)
	m.before = slices.Compact(m.before)
	for _, name := range n.Requires {
		if _, ok := b.given[name]; !ok && !slices.Contains(m.missing, name) {
			m.missing = append(m.missing, name)
		}
	}
	for _, i := range m.before {
		g.nodes[i].later = append(g.nodes[i].later, at)
		m.level = max(m.level, g.nodes[i].level+1)
	}
	g.nodes, g.byName[n.Name] = append(g.nodes, m), at
}

// places finds those that have one by now; the others close a circle, or do not
// exist.
func (b *builder) places(names []string) []int {
	var out []int
	for _, name := range names {
		if i, ok := b.graph.byName[name]; ok {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Names lists the services, each after those that it comes after.
func (g *Graph) Names() []string {
	out := make([]string, len(g.nodes))
	for i, n := range g.nodes {
		out[i] = n.name
	}
	return out
}

// Levels groups them: those of one level do not wait for each other, and each
// waits for some of the level before.
func (g *Graph) Levels() [][]string {
	var out [][]string
	for _, n := range g.nodes {
		for len(out) <= n.level {
			out = append(out, nil)
		}
		out[n.level] = append(out[n.level], n.name)
	}
	for _, level := range out {
		slices.Sort(level)
	}
	return out
}

// Required lists the named services and all that they require, directly or not,
// each after what it requires.
func (g *Graph) Required(names ...string) []string {
	return g.closure(names, func(n node) []int { return n.requires })
}

// Dependants lists the named services and all that require them, directly or
// not, in the order in which they end.
func (g *Graph) Dependants(names ...string) []string {
	requiredBy := make([][]int, len(g.nodes))
	for at, n := range g.nodes {
		for _, i := range n.requires {
			requiredBy[i] = append(requiredBy[i], at)
		}
	}
	out := g.closure(names, func(n node) []int { return requiredBy[g.byName[n.name]] })
	slices.Reverse(out)
	return out
}

func (g *Graph) closure(names []string, next func(node) []int) []string {
	in := make([]bool, len(g.nodes))
	var todo []int
	for _, name := range names {
		if i, ok := g.byName[name]; ok {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !in[i] {
			in[i] = true
			todo = append(todo, next(g.nodes[i])...)
		}
	}
	var out []string
	for i, n := range g.nodes {
		if in[i] {
			out = append(out, n.name)
		}
	}
	return out
}
