package supervisor

import (
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// Before a service is judged by its silence, it is asked whether something else
// explains that: somebody holds it, the machine was suspended, there was no
// processor for it. docs/liveness.md has the table.

// excusing is what is known of the excuses of one instance.
type excusing struct {
	guard  watchdog.Guard
	hold   string // the excuse for which nothing is judged at present; "": judged
	lookAt time.Duration

	askedAt   time.Duration // of what was found
	found     watchdog.Excuse
	decidedAt time.Duration
	decided   watchdog.Excuse
}

// excused reports whether a verdict is not to be, and handles the reason. The
// text of one that stands may say why an excuse was not good enough. A suspicion
// is told whatever slows the service down: it costs nothing.
func (v *service) excused(d *watchdog.Verdict) bool {
	e := v.lookExcuse(d.At)
	if e.Kind == watchdog.Hold {
		if v.excuses.hold == "" {
			v.holdJudging(e)
		}
		return true
	}
	// A thread that is gone waits for nothing: neither a processor nor a disk
	// explains it.
	if d.To != watchdog.Confirmed || d.Cause == snapshot.CauseThreadLost {
		return false
	}
	e = v.decideExcuse(d.At, e)
	if e.Kind == watchdog.Grant {
		return true
	}
	if e.Name != "" {
		d.Text += " (" + e.String() + ")"
	}
	return false
}

// lookExcuse looks once for all verdicts of one moment.
func (v *service) lookExcuse(at time.Duration) watchdog.Excuse {
	if x := &v.excuses; x.askedAt != at {
		x.askedAt, x.found = at, watchdog.Judge(v.lookFacts(v.s.late))
	}
	return v.excuses.found
}

// decideExcuse grants once for all verdicts of one moment.
func (v *service) decideExcuse(at time.Duration, e watchdog.Excuse) watchdog.Excuse {
	x := &v.excuses
	if x.decidedAt != at {
		x.decidedAt, x.decided = at, x.guard.Decide(e)
		if x.decided.Kind == watchdog.Grant {
			v.s.event(v.cfg.Name, "excused", x.decided.String())
			v.s.later(v.judgeAnew)
		}
	}
	return x.decided
}

// holdJudging judges nothing while the excuse lasts.
func (v *service) holdJudging(e watchdog.Excuse) {
	v.watch.Suspend()
	v.excuses.hold, v.excuses.lookAt = e.Name, clock.Boot()+watchdog.LookAgain
	v.s.event(v.cfg.Name, "excused", "not judged while it lasts: "+e.String())
}

// judgeAnew begins all limits anew.
func (v *service) judgeAnew() {
	if !v.mayBeJudged() {
		return
	}
	for _, d := range v.watch.Resume(clock.Boot()) {
		v.takeBack(d)
	}
}

// takeBack withdraws a suspicion by our own doing: no sign of life has come, so
// what was granted stays counted.
func (v *service) takeBack(d watchdog.Verdict) {
	if d.To != watchdog.Healthy {
		return
	}
	delete(v.watch.late, d.Sign)
	if len(v.watch.late) == 0 {
		v.stall = nil
		v.step(lifecycle.Event{Kind: lifecycle.EventRecovered, Instance: v.life.Instance})
	}
}

// mayBeJudged: nobody holds it, and its end has not begun.
func (v *service) mayBeJudged() bool {
	switch v.life.State {
	case lifecycle.Starting, lifecycle.Running, lifecycle.Suspect:
	default:
		return false
	}
	held := v.stopped != 0 || v.excuses.hold != "" || v.life.Announced
	return !held && (v.s.snapshots.running == nil || v.s.snapshots.running.v != v)
}

// lookHold asks whether the excuse still lasts.
// lookFacts looks at the process, when our own timer was late by so much. Our own
// permanent tracer excuses nothing.
func (v *service) lookFacts(late time.Duration) watchdog.Facts {
	f := v.s.facts.Look(v.started.PID, v.started.Cgroup, late)
	if t := v.tracer(); t != nil && t.pid != 0 && t.pid == f.TracerPID {
		f.TracerOwn = true
	}
	return f
}

func (v *service) lookHold(now time.Duration) {
	x := &v.excuses
	if x.hold == "" || now < x.lookAt {
		return
	}
	x.lookAt = now + watchdog.LookAgain
	if e := watchdog.Judge(v.lookFacts(0)); e.Kind == watchdog.Hold {
		if e.Name != x.hold {
			x.hold = e.Name
			v.s.event(v.cfg.Name, "excused", "not judged while it lasts: "+e.String())
		}
		return
	}
	v.s.event(v.cfg.Name, "judged", "judged again from now on, with whole limits: "+x.hold+" is over")
	x.hold, x.lookAt = "", 0
	v.judgeAnew()
}

// machineSuspended: nothing could beat while the machine slept.
func (s *Supervisor) machineSuspended(d time.Duration) {
	s.event("", "excused", fmt.Sprintf("suspended-host: the machine slept for %s; every sign has its whole limit again", human(d)))
	for _, name := range s.names {
		s.services[name].judgeAnew()
	}
}
