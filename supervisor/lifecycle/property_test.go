package lifecycle

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// world is a keeper and a capture helper, as far as a service can tell: it
// answers what it is asked, late, in an order that rapid draws.
type world struct {
	s       Service
	set     Settings
	now     time.Duration
	queue   []Event // answers under way
	alive   bool    // a main process
	tree    bool
	pending bool
	order   bool
	inst    uint64
	spawns  int
}

func (w *world) step(t *rapid.T, ev Event) {
	before := w.s.Deadline
	var actions []Action
	w.s, actions = Step(w.s, w.set, ev, w.now, 0.5)
	for _, a := range actions {
		w.perform(t, a)
	}
	if w.s.Deadline != 0 && w.s.Deadline != before && w.s.Deadline < w.now {
		t.Fatalf("%s in %s set a deadline in the past", ev.Kind, w.s.State)
	}
	w.check(t, ev)
}

func (w *world) perform(t *rapid.T, a Action) {
	switch a.Kind {
	case ActionSpawn:
		if w.pending || w.alive || w.tree {
			t.Fatalf("instance %d is started while %d is not gone", a.Instance, w.inst)
		}
		w.pending, w.inst, w.order = true, a.Instance, a.Again
		w.spawns++
	case ActionKillTree:
		w.order = false
		w.killed()
	case ActionStopSignal:
		if w.alive && rapid.Bool().Draw(t, "obeys") {
			w.die(End{Signal: 15, Code: -1})
		}
	case ActionOrder:
		w.order = a.Again && w.alive
	case ActionCapture:
		if rapid.Bool().Draw(t, "helper answers") {
			w.queue = append(w.queue, Event{Kind: EventCaptured, Instance: a.Instance})
		}
	}
}

func (w *world) die(end End) {
	if !w.alive {
		return
	}
	w.alive = false
	w.queue = append(w.queue, Event{Kind: EventExited, Instance: w.inst, Exit: end, Sentence: "it ended"})
	if !w.tree {
		w.queue = append(w.queue, Event{Kind: EventEmpty, Instance: w.inst})
	}
}

func (w *world) killed() {
	had := w.alive || w.tree
	w.tree = false
	if w.alive {
		w.die(End{Signal: 9, Code: -1})
	} else if had {
		w.queue = append(w.queue, Event{Kind: EventEmpty, Instance: w.inst})
	}
}

// check: nothing is stuck.
func (w *world) check(t *rapid.T, ev Event) {
	if w.s.State.Final() || w.s.Deadline > 0 || w.alive || w.pending || len(w.queue) > 0 {
		return
	}
	t.Fatalf("after %s it is %s, with no process, no deadline and no answer under way: %+v", ev.Kind, w.s.State, w.s)
}

// unasked makes the world do something by itself.
func (w *world) unasked(t *rapid.T) {
	switch rapid.IntRange(0, 5).Draw(t, "world") {
	case 0, 1:
		w.answer(t)
	case 2:
		if w.pending {
			w.pending = false
			if rapid.IntRange(0, 3).Draw(t, "start works") > 0 {
				w.alive, w.tree = true, rapid.Bool().Draw(t, "has children")
				w.step(t, Event{Kind: EventSpawned, Instance: w.inst})
			} else {
				w.order = false
				w.step(t, Event{Kind: EventSpawnFailed, Instance: w.inst, Err: "no such file", Fatal: true})
			}
		}
	case 3:
		if w.alive {
			end := End{Code: rapid.IntRange(0, 2).Draw(t, "status")}
			if w.order && len(w.queue) == 0 {
				w.carryOut(t, end)
			} else {
				w.die(end)
			}
		}
	case 4:
		if w.alive {
			w.step(t, Event{Kind: EventReady, Instance: w.inst})
		}
	case 5:
		w.now += time.Duration(rapid.Int64Range(0, int64(90*time.Second)).Draw(t, "time"))
		w.timer(t)
	}
}

// carryOut is the standing order: the next instance runs at once.
func (w *world) carryOut(t *rapid.T, end End) {
	old := w.inst
	w.order, w.tree = false, false
	w.inst++
	w.step(t, Event{Kind: EventAgain, Instance: old, Exit: end, Sentence: "it ended"})
}

func (w *world) answer(t *rapid.T) {
	if len(w.queue) == 0 {
		return
	}
	ev := w.queue[0]
	w.queue = w.queue[1:]
	w.step(t, ev)
}

func (w *world) timer(t *rapid.T) {
	if w.s.Deadline > 0 && w.now >= w.s.Deadline {
		w.step(t, Event{Kind: EventTimer})
	}
}

func settings(t *rapid.T) Settings {
	p := restart.Default()
	p.Mode = rapid.SampledFrom(restart.Modes()).Draw(t, "mode")
	p.LimitStarts = rapid.IntRange(0, 5).Draw(t, "limit")
	return Settings{
		Restart: p, WaitReady: rapid.Bool().Draw(t, "wait"), ReadyAfter: time.Duration(rapid.IntRange(0, 1).Draw(t, "after")) * time.Second,
		StartTimeout: 60 * time.Second, StopTimeout: 20 * time.Second, CaptureBudget: 2 * time.Second,
		CanCapture: rapid.Bool().Draw(t, "capture"), DryRun: rapid.IntRange(0, 9).Draw(t, "dry") == 0, FirstStartFatal: rapid.Bool().Draw(t, "run"),
	}
}

func TestNothingIsStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{set: settings(t), now: time.Hour}
		for range rapid.IntRange(1, 60).Draw(t, "length") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				kind := rapid.SampledFrom([]EventKind{EventStart, EventStop, EventRestart}).Draw(t, "operator")
				w.step(t, Event{Kind: kind})
			case 1:
				kind := rapid.SampledFrom([]EventKind{EventSuspect, EventRecovered, EventConfirmed, EventStopping, EventExtend}).Draw(t, "sign")
				if w.alive {
					w.step(t, Event{Kind: kind, Instance: w.inst, Cause: snapshot.CauseHang, Sentence: "silent", Extend: time.Second})
				}
			case 2:
				kind := rapid.SampledFrom(EventKinds()).Draw(t, "late")
				if aboutProcess(kind) && w.inst > 1 {
					before := w.s
					w.step(t, Event{Kind: kind, Instance: w.inst - 1})
					if w.s.Instance != before.Instance || w.s.State != before.State {
						t.Fatalf("%s of an old instance moved %s to %s", kind, before.State, w.s.State)
					}
				}
			default:
				w.unasked(t)
			}
		}
		w.endsWhenAsked(t)
	})
}

// endsWhenAsked: a stop always ends in stopped, once the world has answered.
func (w *world) endsWhenAsked(t *rapid.T) {
	w.step(t, Event{Kind: EventStop})
	for range 50 {
		if w.s.State == Stopped {
			break
		}
		switch {
		case len(w.queue) > 0:
			w.answer(t)
		case w.pending:
			w.pending, w.alive = false, true
			w.step(t, Event{Kind: EventSpawned, Instance: w.inst})
		default:
			w.now = max(w.now, w.s.Deadline)
			w.timer(t)
		}
	}
	if w.s.State != Stopped || w.alive || w.s.Up {
		t.Fatalf("a stop has led to %s, process alive: %v", w.s.State, w.alive)
	}
}
