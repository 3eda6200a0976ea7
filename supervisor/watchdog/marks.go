package watchdog

import (
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Marks are Lists for somebody who asks each second: without the texts, and
// without memory of their own.

// Marks tells add of every sign.
func (s *Signs) Marks(now time.Duration, add func(Standing)) {
	for _, sign := range s.list {
		add(sign.Standing(now))
	}
}

// Marks tells add of every rule.
func (t *ThreadRules) Marks(now time.Duration, add func(Standing)) {
	for _, r := range t.rules {
		add(t.mark(r, now))
	}
}

func (t *ThreadRules) mark(r *rule, now time.Duration) Standing {
	return Standing{Name: r.Name, Kind: KindThread, State: r.state, Age: r.age(now), Limit: r.Within, Suspended: t.suspended}
}

// named is the name of a slot's activity, by the claim that it is of.
type named struct {
	serial uint64
	name   string
	known  bool
}

// Marks tells add of every activity, in the order of the slots.
func (a *Activities) Marks(now time.Duration, add func(Standing)) {
	if a.names == nil {
		a.names = make([]named, len(a.slots))
	}
	for i := range a.slots {
		pulse := a.slots[i][wire.WordPulse].Load()
		if state := wire.SlotState(pulse); state >= wire.Idle && state <= wire.Stopping {
			add(a.mark(i, a.slotName(i), pulse, state, now))
		}
	}
}

func (a *Activities) mark(i int, name string, pulse uint64, state wire.SlotState, now time.Duration) Standing {
	st := Standing{Name: name, Kind: KindActivity, State: a.late[i], Limit: time.Duration(a.limitOf(i, state)), Suspended: a.suspended}
	if pulse == a.seen[i] && a.scanned {
		st.Age = max(now-time.Duration(a.since[i]), 0)
	}
	return st
}

// slotName reads a name once for each claim.
func (a *Activities) slotName(i int) string {
	serial := a.slots[i][wire.WordSerial].Load()
	if n := &a.names[i]; !n.known || n.serial != serial {
		s, _ := a.slots[i].Slot()
		*n = named{serial, s.Name, true}
	}
	return a.names[i].name
}
