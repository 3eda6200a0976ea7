package view

import (
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

const (
	flameDepth  = 256
	flameGroups = 20
)

// flameNode is a node that is being built.
type flameNode struct {
	api.FlameNode
	children map[string]*flameNode
}

// Flame adds all stacks up to a tree, outermost frame first.
func Flame(s *snapshot.Stacks, idle bool) api.Flame {
	out := api.Flame{Noun: Noun(s)}
	root := &flameNode{FlameNode: api.FlameNode{Function: "all"}, children: map[string]*flameNode{}}
	if s != nil {
		for i := range s.Groups {
			if g := &s.Groups[i]; g.Count > 0 && (idle || analyze.Idle(*g) == "") {
				root.add(g, i)
			}
		}
	}
	var counts []int
	root.counts(&counts)
	least := 0 // nodes with so few are merged
	if len(counts) > api.MaxFlame {
		slices.SortFunc(counts, func(a, b int) int { return b - a })
		least = counts[api.MaxFlame]
	}
	budget := api.MaxFlame - 1
	out.Root = root.finish(least, &budget, &out.Merged)
	return out
}

func (n *flameNode) add(g *snapshot.Group, index int) {
	n.count(g.Count, index)
	depth := 0
	for i := len(g.Frames) - 1; i >= 0 && depth < flameDepth; i, depth = i-1, depth+1 {
		f := &g.Frames[i]
		next, ok := n.children[f.Function]
		if !ok {
			next = &flameNode{children: map[string]*flameNode{}}
			next.Function, next.File, next.Line = f.Function, f.File, f.Line
			next.Runtime = frame(*f, nil).Runtime
			n.children[f.Function] = next
		}
		next.count(g.Count, index)
		n = next
	}
}

func (n *flameNode) count(by, index int) {
	n.Count += by
	if len(n.Groups) < flameGroups {
		n.Groups = append(n.Groups, index)
	}
}

func (n *flameNode) counts(to *[]int) {
	*to = append(*to, n.Count)
	for _, c := range n.children {
		c.counts(to)
	}
}

// finish sorts the children and leaves out the small ones.
func (n *flameNode) finish(least int, budget, merged *int) api.FlameNode {
	list := make([]*flameNode, 0, len(n.children))
	for _, c := range n.children {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *flameNode) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Function, b.Function)
	})
	out := n.FlameNode
	for _, c := range list {
		if c.Count < least || *budget <= 0 {
			*merged += c.size()
			continue
		}
		*budget--
		out.Children = append(out.Children, c.finish(least, budget, merged))
	}
	return out
}

func (n *flameNode) size() int {
	size := 1
	for _, c := range n.children {
		size += c.size()
	}
	return size
}
