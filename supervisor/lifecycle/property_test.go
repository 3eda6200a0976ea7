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
	queue   []Event // told by the keeper, in order, and not read yet
	helper  []Event // told by the capture helper
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
	if w.s.Deadline != 0 && w.s.Deadline != before && w.s.Deadline <= w.now {
		t.Fatalf("%s in %s set a deadline in the past", ev.Kind, w.s.State)
	}
	w.check(t, ev)
}

func (w *world) perform(t *rapid.T, a Action) {
	switch a.Kind {
	case ActionSpawn:
		if w.set.Held != "" {
			t.Fatalf("instance %d is started while it is held", a.Instance)
		}
		if w.pending || w.alive || w.tree {
			t.Fatalf("instance %d is started while %d is not gone", a.Instance, w.inst)
		}
		w.pending, w.inst, w.order = true, a.Instance, a.Again
		w.spawns++
	case ActionKillTree:
		if a.Instance == w.inst {
			w.order = false
			w.killed(t)
		}
	case ActionStopSignal:
		if a.Instance == w.inst && w.alive && rapid.Bool().Draw(t, "obeys") {
			w.die(End{Signal: 15, Code: -1})
		}
	case ActionFarewell:
		if !w.s.Alive || w.s.State != Stopping {
			t.Fatalf("nobody is there to end by itself: %+v", w.s)
		}
		if a.Instance == w.inst && w.alive && rapid.Bool().Draw(t, "ends by itself") {
			w.die(End{Signal: 11, Code: -1})
		}
	case ActionOrder:
		if a.Instance == w.inst {
			w.order = a.Again && w.alive
		}
	case ActionCapture:
		if rapid.Bool().Draw(t, "helper answers") {
			w.helper = append(w.helper, Event{Kind: EventCaptured, Instance: a.Instance})
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

func (w *world) killed(t *rapid.T) {
	had := w.alive || w.tree
	w.tree = false
	switch {
	case w.alive && rapid.Bool().Draw(t, "empty first"):
		w.alive = false
		w.queue = append(w.queue, Event{Kind: EventEmpty, Instance: w.inst},
			Event{Kind: EventExited, Instance: w.inst, Exit: End{Signal: 9, Code: -1}, Sentence: "it ended"})
	case w.alive:
		w.die(End{Signal: 9, Code: -1})
	case had:
		w.queue = append(w.queue, Event{Kind: EventEmpty, Instance: w.inst})
	}
}

// check: nothing is stuck. By its own account the service waits for a process,
// an answer or a time, and what it waits for exists or is about to be told.
func (w *world) check(t *rapid.T, ev Event) {
	s := w.s
	if s.State == Waiting && (s.Alive || s.Tree || s.Pending || s.Deadline != 0 || s.Ready || s.Asked || s.Once || s.Again || !s.Up || w.alive || w.tree || w.pending) {
		t.Fatalf("after %s it waits, but something of it is left: %+v, world %+v", ev.Kind, s, w)
	}
	if s.State == Waiting && ev.Kind == EventGate && w.set.Held == "" {
		t.Fatalf("it waits for nothing: %+v", s)
	}
	if w.set.Held != "" && ev.Kind == EventGate && s.Again && !s.Pending {
		t.Fatalf("it is held, and the keeper has a standing order: %+v", s)
	}
	if !s.State.Final() && s.State != Waiting && s.Deadline == 0 && !s.Alive && !s.Pending {
		t.Fatalf("after %s it is %s, with no process, no deadline and no answer under way: %+v", ev.Kind, s.State, s)
	}
	if s.State.Final() && (s.Alive || s.Tree || s.Pending || s.Deadline != 0 || w.alive || w.tree || w.pending) {
		t.Fatalf("after %s it is %s, but something of it is left: %+v, world %+v", ev.Kind, s.State, s, w)
	}
	if s.Alive && !w.alive && len(w.queue) == 0 {
		t.Fatalf("after %s it waits for a process that is gone and told of: %+v", ev.Kind, s)
	}
	if s.Pending && !w.pending && len(w.queue) == 0 {
		t.Fatalf("after %s it waits for an answer that was given: %+v", ev.Kind, s)
	}
}

// unasked makes the world do something by itself.
func (w *world) unasked(t *rapid.T) {
	switch rapid.IntRange(0, 5).Draw(t, "world") {
	case 0, 1:
		w.answer(t)
	case 2:
		if w.pending {
			w.begin(t, rapid.IntRange(0, 3).Draw(t, "start works") > 0)
		}
	case 3:
		if w.alive {
			end := End{Code: rapid.IntRange(0, 2).Draw(t, "status")}
			if w.order {
				w.carryOut(t, end)
			} else {
				w.die(end)
			}
		}
	case 4: // on a descriptor of its own, so it may overtake the keeper's answer
		if w.inst == w.s.Instance && (w.alive || w.pending) {
			w.step(t, Event{Kind: EventReady, Instance: w.inst})
		}
	case 5:
		w.now += time.Duration(rapid.Int64Range(0, int64(90*time.Second)).Draw(t, "time"))
		w.timer(t)
	}
}

// begin answers a start.
func (w *world) begin(t *rapid.T, works bool) {
	w.pending = false
	if works {
		w.alive, w.tree = true, rapid.Bool().Draw(t, "has children")
		w.queue = append(w.queue, Event{Kind: EventSpawned, Instance: w.inst})
		return
	}
	w.order = false
	w.queue = append(w.queue, Event{Kind: EventSpawnFailed, Instance: w.inst, Err: "no such file", Fatal: true})
}

// carryOut is the standing order: the next instance runs at once, or cannot.
func (w *world) carryOut(t *rapid.T, end End) {
	old := w.inst
	w.order, w.tree = false, false
	if rapid.IntRange(0, 4).Draw(t, "order fails") == 0 {
		w.alive = false
		w.queue = append(w.queue, Event{Kind: EventAgainFailed, Instance: old, Exit: end, Sentence: "it ended", Err: "no such file"})
		return
	}
	w.inst++
	w.queue = append(w.queue, Event{Kind: EventAgain, Instance: old, Exit: end, Sentence: "it ended"})
}

// answer delivers one event of the keeper or of the helper.
func (w *world) answer(t *rapid.T) {
	from := &w.queue
	if len(w.queue) == 0 || len(w.helper) > 0 && rapid.Bool().Draw(t, "helper first") {
		from = &w.helper
	}
	if len(*from) == 0 {
		return
	}
	ev := (*from)[0]
	*from = (*from)[1:]
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
			case 2:
				if w.set.Held == "" {
					w.set.Held = "for db"
				} else {
					w.set.Held = ""
				}
				// The loop may be late, and tell of several changes at once.
				if rapid.Bool().Draw(t, "told") {
					w.step(t, Event{Kind: EventGate})
				}
			case 1:
				kind := rapid.SampledFrom([]EventKind{EventSuspect, EventRecovered, EventConfirmed, EventStopping, EventExtend}).Draw(t, "sign")
				if w.s.Instance > 0 { // the loop names the instance that it knows
					w.step(t, Event{Kind: kind, Instance: w.s.Instance, Cause: snapshot.CauseHang, Sentence: "silent", Extend: time.Second, Farewell: rapid.Bool().Draw(t, "farewell")})
				}
			case 3:
				kind := rapid.SampledFrom(EventKinds()).Draw(t, "late")
				if aboutProcess(kind) && w.s.Instance > 1 {
					before := w.s
					w.step(t, Event{Kind: kind, Instance: w.s.Instance - 1})
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
		case len(w.queue)+len(w.helper) > 0:
			w.answer(t)
		case w.pending:
			w.begin(t, true)
		default:
			w.now = max(w.now, w.s.Deadline)
			w.timer(t)
		}
	}
	if w.s.State != Stopped || w.alive || w.s.Up {
		t.Fatalf("a stop has led to %s, process alive: %v", w.s.State, w.alive)
	}
}
