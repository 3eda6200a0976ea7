package signals

import (
	"testing"

	"pgregory.net/rapid"
)

// model remembers all that went in and out of an inbox, at a count of steps.
type model struct {
	in      Inbox
	now     int
	last    uint64
	receipt map[uint64][]int // entry -> when its demands were received
	demand  map[uint64]Demand
	taken   map[uint64]int // entry -> when it was last handed out
	over    map[uint64]string
	into    map[uint64]uint64 // by Lost
	waits   map[Demand]uint64
	runs    map[Demand]uint64
	stop    bool
	total   int
}

func newModel() *model {
	return &model{
		receipt: map[uint64][]int{}, demand: map[uint64]Demand{}, taken: map[uint64]int{}, over: map[uint64]string{},
		into: map[uint64]uint64{}, waits: map[Demand]uint64{}, runs: map[Demand]uint64{},
	}
}

func (m *model) receive(t *rapid.T, d Demand) {
	m.total++
	open, wasOpen := m.in.Open(d)
	into, merged := m.in.Received(d, m.last+1)
	if merged != wasOpen || merged && into != open {
		t.Fatalf("Open says %d %v, Received %d %v", open, wasOpen, into, merged)
	}
	if !merged {
		m.last++
		if m.waits[d] != 0 || into != m.last {
			t.Fatalf("a second %s waits: %d beside %d", d, into, m.waits[d])
		}
		m.waits[d], m.demand[into] = into, d
	} else if m.waits[d] != into && (d != Stop || m.runs[d] != into) {
		t.Fatalf("%s is merged with %d, which does not wait", d, into)
	}
	m.receipt[into] = append(m.receipt[into], m.now)
}

// permitted is what Next may hand out first.
func (m *model) permitted() (Demand, bool) {
	for _, d := range ranks {
		reloading := m.runs[Reload] != 0 && d != Stop && d != Dump
		if m.waits[d] != 0 && (d == Reload && m.stop || m.runs[d] == 0 && !reloading) {
			return d, true
		}
	}
	return None, false
}

func (m *model) next(t *rapid.T) bool {
	want, can := m.permitted()
	task, ok := m.in.Next()
	if ok != can || ok && (task.Demand != want || task.ID != m.waits[want]) {
		t.Fatalf("handed out %+v, %v; want %q, %v", task, ok, want, can)
	}
	if !ok {
		return false
	}
	m.waits[want] = 0
	if task.Refuse != "" {
		if want != Reload || !m.stop {
			t.Fatalf("%+v is refused", task)
		}
		m.over[task.ID] = task.Refuse
		return true
	}
	m.runs[want], m.taken[task.ID] = task.ID, m.now
	m.stop = m.stop || want == Stop
	return true
}

func (m *model) done(t *rapid.T, d Demand) {
	id := m.runs[d]
	got, ok := m.in.Done(id)
	if ok != (id != 0) || ok && got != d {
		t.Fatalf("done %d is %q, %v", id, got, ok)
	}
	if ok {
		m.runs[d], m.over[id] = 0, "done"
	}
}

func (m *model) lost(t *rapid.T) {
	merged := map[uint64]uint64{}
	for _, x := range m.in.Lost() {
		merged[x.ID] = x.Into
	}
	for d, id := range m.runs {
		switch into := merged[id]; {
		case id == 0:
		case m.waits[d] == 0 && into == 0:
			m.waits[d] = id
		case into == 0 || into != m.waits[d]:
			t.Fatalf("%s %d was lost and is part of %d; %d waits", d, id, into, m.waits[d])
		default:
			m.into[id], m.over[id] = into, "merged"
		}
		m.runs[d] = 0
	}
}

// drain is a worker that stays alive.
func (m *model) drain(t *rapid.T) {
	for range 4 * len(ranks) {
		m.now++
		for m.next(t) {
		}
		for _, d := range ranks {
			m.done(t, d)
		}
	}
}

// judge looks at every delivery: its entry was carried out by something that
// began after it, or was refused because of a stop.
func (m *model) judge(t *rapid.T) {
	total := 0
	for id, times := range m.receipt {
		total += len(times)
		end := id
		for m.into[end] != 0 {
			end = m.into[end]
		}
		for _, at := range times {
			switch {
			case m.over[end] == Refusal && m.demand[id] == Reload && m.stop:
			case m.over[end] != "done":
				t.Fatalf("%s %d ends as %q", m.demand[id], id, m.over[end])
			case m.demand[id] != Stop && m.taken[end] < at:
				t.Fatalf("%s received at %d was begun at %d and never after", m.demand[id], at, m.taken[end])
			}
		}
	}
	if total != m.total {
		t.Fatalf("%d deliveries in all entries, %d received", total, m.total)
	}
}

// The last HUP is always followed by a reload that begins after it; at most one
// reload runs and at most one waits; a stop is never lost; every delivery is in
// exactly one entry.
func TestInboxProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		stops := rapid.Bool().Draw(t, "with stops")
		steps := rapid.SliceOfN(rapid.IntRange(0, 15), 0, 80).Draw(t, "steps")
		for _, step := range steps {
			m.now++
			switch {
			case step < 3:
				m.receive(t, Reload)
			case step < 3+len(ranks):
				if d := ranks[step-3]; d != Stop || stops {
					m.receive(t, d)
				}
			case step < 11:
				m.next(t)
			case step < 15:
				m.done(t, ranks[rapid.IntRange(0, len(ranks)-1).Draw(t, "which")])
			default:
				m.lost(t)
			}
		}
		m.drain(t)
		m.judge(t)
	})
}
