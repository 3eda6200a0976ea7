package order

import (
	"fmt"
	"testing"
)

// BenchmarkPlan is one look at a thousand services, each of which requires two
// others.
func BenchmarkPlan(b *testing.B) {
	var nodes []Node
	for i := range 1000 {
		n := Node{Name: fmt.Sprintf("s%03d", i)}
		if i >= 2 {
			n.Requires = []string{fmt.Sprintf("s%03d", i-1), fmt.Sprintf("s%03d", i/2)}
		}
		nodes = append(nodes, n)
	}
	g := New(nodes)
	for _, c := range []struct {
		name string
		all  Standing
	}{
		{"all up", Standing{Coming: true, Ready: true}},
		{"all waiting", Standing{Coming: true, Gone: true, State: "waiting"}},
		{"all to stop", Standing{Coming: true, Ready: true, Down: Stop}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.Plan(func(string) Standing { return c.all })
			}
		})
	}
}
