package lifecycle

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// life drives a service by hand.
type life struct {
	s       Service
	set     Settings
	now     time.Duration
	actions []Action
}

func newLife(change func(*Settings)) *life {
	set := Settings{Restart: restart.Default(), StartTimeout: time.Minute, StopTimeout: 20 * time.Second, CaptureBudget: 2 * time.Second, CanCapture: true}
	if change != nil {
		change(&set)
	}
	return &life{set: set, now: time.Hour}
}

func (l *life) do(evs ...Event) {
	for _, ev := range evs {
		if ev.Instance == 0 {
			ev.Instance = l.s.Instance
		}
		l.s, l.actions = Step(l.s, l.set, ev, l.now, 0.5)
	}
}

func (l *life) did(k ActionKind) bool {
	for _, a := range l.actions {
		if a.Kind == k {
			return true
		}
	}
	return false
}

// A program can say that it is ready before the keeper's answer to the start is
// read: the two come on different descriptors.
func TestReadyBeforeSpawnedIsKept(t *testing.T) {
	l := newLife(func(s *Settings) { s.WaitReady = true })
	l.do(Event{Kind: EventStart}, Event{Kind: EventReady}, Event{Kind: EventSpawned})
	if l.s.State != Running || !l.s.Alive || l.s.Pending {
		t.Fatalf("after ready, spawned: %+v", l.s)
	}
	l.do(Event{Kind: EventStop})
	if l.s.State != Stopping || !l.did(ActionStopSignal) {
		t.Fatalf("a stop has led to %s", l.s.State)
	}
}

// Who announces a stop and then hangs is judged again.
func TestAnnouncedStopIsNotForEver(t *testing.T) {
	l := newLife(nil)
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned}, Event{Kind: EventStopping})
	if !l.did(ActionSuspendBeats) || l.s.Deadline != l.now+l.set.StopTimeout {
		t.Fatalf("announced: %+v, %+v", l.s, l.actions)
	}
	l.do(Event{Kind: EventExtend, Extend: 30 * time.Second})
	if l.s.Deadline != l.now+30*time.Second {
		t.Fatalf("extended to %s", l.s.Deadline-l.now)
	}
	l.now = l.s.Deadline
	l.do(Event{Kind: EventTimer})
	if !l.did(ActionResumeBeats) || l.s.State != Running || l.s.Deadline != l.s.HealthyAt+l.set.Restart.ResetAfter {
		t.Fatalf("its time is over: %+v, %+v", l.s, l.actions)
	}
}

func TestDryRunSparesASlowStart(t *testing.T) {
	l := newLife(func(s *Settings) { s.WaitReady, s.DryRun = true, true })
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned})
	l.now = l.s.Deadline
	l.do(Event{Kind: EventTimer})
	if l.s.State != Starting || !l.did(ActionAlert) || l.did(ActionCapture) || l.s.Deadline != 0 {
		t.Fatalf("a dry run did %+v: %+v", l.actions, l.s)
	}
	l.do(Event{Kind: EventReady})
	if l.s.State != Running {
		t.Fatalf("then ready: %s", l.s.State)
	}
}

// The order of the two does not cost the 10 s after which a kill is repeated.
func TestEmptyBeforeExited(t *testing.T) {
	l := newLife(nil)
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned}, Event{Kind: EventEmpty},
		Event{Kind: EventExited, Exit: End{Code: 1}})
	if l.s.State != Starting || l.s.Instance != 2 || !l.did(ActionSpawn) {
		t.Fatalf("%+v", l.s)
	}
}

// The verdict came a moment after the death: what the keeper has started is
// healthy and not to be ended for it.
func TestOrderCarriedOutBeforeTheVerdictIsKept(t *testing.T) {
	l := newLife(nil)
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned},
		Event{Kind: EventConfirmed, Cause: snapshot.CauseHang, Sentence: "silent"},
		Event{Kind: EventAgain, Exit: End{Code: 1}, Sentence: "it ended"})
	if l.s.State != Running || l.s.Instance != 2 || l.did(ActionStopSignal) || l.s.History.Failures != 1 {
		t.Fatalf("%+v: %+v", l.s, l.actions)
	}
	l = newLife(nil)
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned}, Event{Kind: EventStop}, Event{Kind: EventAgain})
	if l.s.State != Stopping || !l.did(ActionStopSignal) {
		t.Fatalf("not wanted any more, but %+v", l.s)
	}
}

// A verdict about a process that is not there yet is about nothing.
func TestVerdictBeforeSpawned(t *testing.T) {
	l := newLife(nil)
	l.do(Event{Kind: EventStart}, Event{Kind: EventConfirmed, Cause: snapshot.CauseHang},
		Event{Kind: EventSpawnFailed, Err: "no such file"})
	if l.s.Cause != snapshot.CauseStartFailed || l.s.Instance != 2 || l.s.State != Starting {
		t.Fatalf("%+v", l.s)
	}
}

func TestEarlyTimerIsIgnored(t *testing.T) {
	l := newLife(func(s *Settings) { s.WaitReady = true })
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned}, Event{Kind: EventTimer})
	if l.s.State != Starting {
		t.Fatalf("a timer before its time has led to %s", l.s.State)
	}
}

// The service is kept as a note between two supervisors.
func TestServiceSurvivesItsNote(t *testing.T) {
	l := newLife(nil)
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned}, Event{Kind: EventStopping},
		Event{Kind: EventExited, Exit: End{Code: -1, Signal: 11, Core: true}, Sentence: "it crashed"}, Event{Kind: EventEmpty})
	b, err := json.Marshal(l.s)
	var back Service
	if err != nil || json.Unmarshal(b, &back) != nil || !reflect.DeepEqual(back, l.s) {
		t.Fatalf("%+v came back as %+v (%v)", l.s, back, err)
	}
}

// Whatever leads to a start waits while it is held: a request, a restart and a
// retry.
func TestHeld(t *testing.T) {
	l := newLife(nil)
	l.set.Held = "for db (starting)"
	l.do(Event{Kind: EventStart})
	if l.s.State != Waiting || l.s.Instance != 0 || l.did(ActionSpawn) || !l.s.Up {
		t.Fatalf("held, it is %+v: %+v", l.s, l.actions)
	}
	l.do(Event{Kind: EventGate})
	if l.s.State != Waiting {
		t.Fatalf("still held, it is %s", l.s.State)
	}
	l.set.Held = ""
	l.do(Event{Kind: EventGate})
	if l.s.State != Starting || !l.did(ActionSpawn) || !l.s.Again {
		t.Fatalf("let go, it is %+v: %+v", l.s, l.actions)
	}
	l.do(Event{Kind: EventSpawned})
	l.set.Held = "for db (backoff)"
	l.do(Event{Kind: EventGate})
	if l.s.State != Running || l.s.Again || !l.did(ActionOrder) {
		t.Fatalf("held while it runs: %+v: %+v", l.s, l.actions)
	}
	l.do(Event{Kind: EventExited, Exit: End{Code: 1}}, Event{Kind: EventEmpty})
	if l.s.State != Waiting || l.s.Restarts != 1 || l.s.Cause != snapshot.CauseExit {
		t.Fatalf("dead while it is held: %+v", l.s)
	}
	l.set.Held = ""
	l.do(Event{Kind: EventGate}, Event{Kind: EventSpawned}, Event{Kind: EventExited, Exit: End{Code: 1}}, Event{Kind: EventEmpty})
	if l.s.State != Backoff || l.s.Instance != 2 {
		t.Fatalf("dead again: %+v", l.s)
	}
	l.now, l.set.Held = l.s.Deadline, "for db (starting)"
	l.do(Event{Kind: EventTimer})
	if l.s.State != Waiting || l.s.Deadline != 0 {
		t.Fatalf("the delay is over: %+v", l.s)
	}
	l.do(Event{Kind: EventStop})
	if l.s.State != Stopped || l.s.Up || !l.did(ActionDone) {
		t.Fatalf("stopped: %+v", l.s)
	}
}

// A start that is under way when the service is held goes on; the keeper is not
// to repeat it.
func TestHeldWhileTheStartIsUnderWay(t *testing.T) {
	l := newLife(nil)
	l.do(Event{Kind: EventStart})
	l.set.Held = "for db (stopping)"
	l.do(Event{Kind: EventGate})
	if l.did(ActionOrder) {
		t.Fatal("the keeper does not know of the start yet")
	}
	l.do(Event{Kind: EventSpawned})
	if l.s.State != Running || l.s.Again {
		t.Fatalf("%+v: %+v", l.s, l.actions)
	}
}

// What was told while nobody listened is lost: not a reason to end it. The next
// instance is judged as ever.
func TestUnheardReady(t *testing.T) {
	l := newLife(func(s *Settings) { s.WaitReady = true })
	l.do(Event{Kind: EventStart}, Event{Kind: EventSpawned})
	l.s.Unheard = true
	l.now += l.set.StartTimeout
	l.do(Event{Kind: EventTimer})
	if l.s.State != Running || !l.s.Ready {
		t.Fatalf("%+v: %+v", l.s, l.actions)
	}
	l.do(Event{Kind: EventExited, Exit: End{Code: 1}}, Event{Kind: EventEmpty})
	if l.s.Unheard && l.s.Instance > 1 {
		t.Errorf("the next instance: %+v", l.s)
	}
}
