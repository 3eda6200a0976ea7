package watchdog

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// marked is what Marks tells, by name.
func marked(m interface {
	Marks(now time.Duration, add func(Standing))
}, now time.Duration) (all []Standing) {
	m.Marks(now, func(st Standing) { all = append(all, st) })
	return byName(all)
}

func byName(all []Standing) []Standing {
	slices.SortFunc(all, func(a, b Standing) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Marks are what List tells, without the texts.
func TestMarksAgreeWithLists(t *testing.T) {
	p, a := newProgram(3, ActivityOptions{Timeout: s})
	p.claim(0, "x", 0, 0)
	p.claim(2, "y", 2*s, 7)
	p.set(0, wire.Busy)
	a.Check(10 * s)
	a.Check(20 * s)
	compare := func(got, want []Standing) {
		t.Helper()
		for i := range want {
			want[i].Text = ""
		}
		if byName(want); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("marks %+v\nlist  %+v", got, want)
		}
	}
	compare(marked(a, 21*s), a.List(21*s))
	w := wire.EncodeSlot(wire.Slot{Pulse: uint64(wire.Busy), PID: 1, Serial: 2, Name: "another"})
	for i := range w {
		p.slots[0][i].Store(w[i])
	}
	compare(marked(a, 22*s), a.List(22*s))
	var signs Signs
	if err := signs.Add(NewSign("heartbeat", 2*s, s, 10*s)); err != nil {
		t.Fatal(err)
	}
	compare(marked(&signs, 13*s), signs.List(13*s))
	rules, err := NewThreadRules([]ThreadRule{{Name: "accept", Within: s, Minimum: 1}}, 10*s)
	if err != nil {
		t.Fatal(err)
	}
	compare(marked(rules, 12*s), rules.List(12*s))
}
