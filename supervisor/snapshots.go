package supervisor

import (
	"context"
	"fmt"
	"slices"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// snapshots are those that were asked for, of services that shall run on: one
// after the other, so that never two services stand still for them.
type snapshots struct {
	waiting []snapshotWish
	running *job
	rounds  map[uint64]*snapshotRound // by demand
}

// maxSnapshots bounds those that wait for their turn.
const maxSnapshots = 256

// snapshotWish is one service of one demand.
type snapshotWish struct {
	service string
	from    string
	demand  protocol.Event               // a signal; without one its Demand is 0
	told    func(control.SnapshotResult) // a client that waits; may be nil
	detach  bool                         // it waits only until the process runs on
}

// tell answers the client, once.
func (w *snapshotWish) tell(r control.SnapshotResult) {
	if w.told != nil {
		r.Service = w.service
		w.told(r)
		w.told = nil
	}
}

// snapshotRound is what has come of a demand so far.
type snapshotRound struct{ left, taken, failed int }

// snapshotOf takes a snapshot of each of the services, and then says what came
// of it.
func (s *Supervisor) snapshotOf(names []string, e protocol.Event) {
	if s.snapshots.rounds == nil {
		s.snapshots.rounds = map[uint64]*snapshotRound{}
	}
	round := &snapshotRound{}
	for _, name := range names {
		if v := s.services[name]; v.mayBeSnapshot() {
			round.left++
			s.snapshots.waiting = append(s.snapshots.waiting, snapshotWish{service: name, from: e.Text, demand: e})
		}
	}
	if round.left == 0 {
		s.outcome(e, "done: no service runs")
		return
	}
	s.snapshots.rounds[e.Demand] = round
	s.nextSnapshot()
}

// mayBeSnapshot reports whether the service has a process that runs, and that
// nobody captures already.
func (v *service) mayBeSnapshot() bool {
	return v.life.Alive && v.stopped == 0 && (v.life.State == lifecycle.Running || v.life.State == lifecycle.Suspect || v.life.State == lifecycle.Starting)
}

// snapshotFor takes a snapshot of one service for a client.
func (s *Supervisor) snapshotFor(w snapshotWish) {
	v := s.services[w.service]
	switch {
	case !v.mayBeSnapshot():
		w.tell(control.SnapshotResult{Error: "it is " + v.life.State.String() + ": only a service that runs can be looked at"})
	case len(s.snapshots.waiting) >= maxSnapshots:
		w.tell(control.SnapshotResult{Error: fmt.Sprintf("%d others wait for their turn already", maxSnapshots)})
	default:
		s.snapshots.waiting = append(s.snapshots.waiting, w)
		s.nextSnapshot()
	}
}

func (s *Supervisor) nextSnapshot() {
	for s.snapshots.running == nil && len(s.snapshots.waiting) > 0 {
		w := s.snapshots.waiting[0]
		s.snapshots.waiting = s.snapshots.waiting[1:]
		v, ok := s.services[w.service]
		if !ok || !v.mayBeSnapshot() || s.stopping {
			w.tell(control.SnapshotResult{Error: "it does not run any more"})
			s.snapshotOver(w, "it does not run any more")
			continue
		}
		s.takeSnapshot(v, &w)
	}
}

// takeSnapshot captures a service that runs on.
func (s *Supervisor) takeSnapshot(v *service, w *snapshotWish) {
	s.event(w.service, "capture", fmt.Sprintf("taking a snapshot of pid %d, which runs on: %s asked for it", v.started.PID, w.from))
	j := v.newJob(lifecycle.Action{Kind: lifecycle.ActionCapture, Cause: snapshot.CauseRequested, Sentence: "a snapshot was asked for by " + w.from + "; the service runs on"})
	v.watch.Suspend() // it stands still for a moment, by our doing
	s.snapshots.running = j
	j.onFree = func(failure string) {
		s.snapshots.running = nil
		if v.life.State != lifecycle.Freezing {
			v.resumeBeats()
		}
		v.armTracer()
		if w.detach {
			w.tell(control.SnapshotResult{PID: j.pid, Incident: j.incident.ID, Status: string(snapshot.StatusWriting), Error: failure})
		}
		s.snapshotOver(*w, failure)
		s.later(s.nextSnapshot)
	}
	j.onDone = func(done snapshot.Incident, err error) { w.tell(snapshotResult(j.pid, done, err)) }
	v.endTracer(j.freeze) // there can be only one
}

// snapshotResult is what a client learns of an incident that is complete.
func snapshotResult(pid int, done snapshot.Incident, err error) control.SnapshotResult {
	if err != nil {
		return control.SnapshotResult{PID: pid, Error: "cannot keep it: " + err.Error()}
	}
	r := control.SnapshotResult{PID: pid, Incident: done.ID, Status: string(done.Status), Sentence: done.Sentence, Missing: done.Missing}
	if f := done.Freeze; f != nil {
		r.Rung, r.Pause = f.Method, float64(f.Pause)
		for _, no := range f.Refused {
			r.Refused = append(r.Refused, control.Refusal{Rung: no.Rung, Reason: no.Reason})
		}
	}
	return r
}

func (s *Supervisor) snapshotOver(w snapshotWish, failure string) {
	if failure != "" {
		s.event(w.service, "alert", "the snapshot failed: "+failure)
	}
	round := s.snapshots.rounds[w.demand.Demand]
	if round == nil {
		return
	}
	round.left--
	if failure == "" {
		round.taken++
	} else {
		round.failed++
	}
	if round.left > 0 {
		return
	}
	delete(s.snapshots.rounds, w.demand.Demand)
	text := fmt.Sprintf("done: %d snapshots taken (vigil incidents)", round.taken)
	if round.failed > 0 {
		text = fmt.Sprintf("done in part: %d snapshots taken, %d failed (vigil events)", round.taken, round.failed)
	}
	s.outcome(w.demand, text)
}

// Snapshot takes snapshots of services that run on.
func (b backend) Snapshot(ctx context.Context, who control.Caller, a control.Snapshot) ([]control.SnapshotResult, error) {
	results := make(chan control.SnapshotResult, len(a.Services))
	var failed error
	err := b.call(func() {
		if failed = b.s.knowAll("take a snapshot of", a.Services); failed != nil {
			return
		}
		for _, name := range a.Services {
			b.s.snapshotFor(snapshotWish{service: name, from: who.String(), detach: a.Detach, told: func(r control.SnapshotResult) { results <- r }})
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	all := make([]control.SnapshotResult, 0, len(a.Services))
	for range a.Services {
		select {
		case r := <-results:
			all = append(all, r)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.s.ctx.Done():
			return nil, control.ErrShutdown
		}
	}
	slices.SortStableFunc(all, func(x, y control.SnapshotResult) int {
		return slices.Index(a.Services, x.Service) - slices.Index(a.Services, y.Service)
	})
	return all, nil
}
