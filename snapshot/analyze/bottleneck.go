package analyze

import "github.com/vigil-supervisor/vigil/snapshot"

// Bottleneck is somebody who waits for no other, and for whom others wait.
type Bottleneck struct {
	Holder  int64
	Behind  int // how many wait for it, directly or not
	Certain bool
	Wait    snapshot.Wait // one of those who wait for it directly
}

// FindBottleneck returns the holder that most wait for and that is in no
// deadlock. Whoever waits for several counts for the first that is found. Who is
// an alternative only is none: an idle worker is not held up by whoever could give
// it work.
func FindBottleneck(waits []snapshot.Wait) (Bottleneck, bool) {
	g := newGraph(waits)
	dead := g.dead()
	taken := make([]bool, len(g.ids))
	best, most := int32(-1), 0
	for root := range int32(len(g.ids)) {
		if dead[root] || g.waitsForSomebody(root) {
			continue
		}
		if n := g.flood(root, taken); n > most || (n == most && best >= 0 && g.ids[root] < g.ids[best]) {
			best, most = root, n
		}
	}
	if best < 0 {
		return Bottleneck{}, false
	}
	out := Bottleneck{Holder: g.ids[best], Behind: most, Certain: true}
	for _, w := range waits {
		if w.Holder == out.Holder && !w.Any {
			out.Wait, out.Certain = w, w.Certain
			break
		}
	}
	return out, true
}

func (g *graph) waitsForSomebody(n int32) bool {
	for _, a := range g.edges(n) {
		if a.to >= 0 && !a.any {
			return true
		}
	}
	return false
}

// flood counts who waits for root and was not counted for another.
func (g *graph) flood(root int32, taken []bool) int {
	n := 0
	for todo := []int32{root}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, a := range g.waiters(at) {
			if !a.any && !taken[a.to] {
				taken[a.to] = true
				n++
				todo = append(todo, a.to)
			}
		}
	}
	return n
}
