package supervisor

import (
	"fmt"

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

// snapshotWish is one service of one demand.
type snapshotWish struct {
	service string
	from    string
	demand  protocol.Event
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
			s.snapshots.waiting = append(s.snapshots.waiting, snapshotWish{name, e.Text, e})
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

func (s *Supervisor) nextSnapshot() {
	for s.snapshots.running == nil && len(s.snapshots.waiting) > 0 {
		w := s.snapshots.waiting[0]
		s.snapshots.waiting = s.snapshots.waiting[1:]
		v, ok := s.services[w.service]
		if !ok || !v.mayBeSnapshot() || s.stopping {
			s.snapshotOver(w, "it does not run any more")
			continue
		}
		s.event(w.service, "capture", fmt.Sprintf("taking a snapshot of pid %d, which runs on: %s asked for it", v.started.PID, w.from))
		j := v.newJob(lifecycle.Action{Kind: lifecycle.ActionCapture, Cause: snapshot.CauseRequested, Sentence: "a snapshot was asked for by " + w.from + "; the service runs on"})
		v.watch.Suspend() // it stands still for a moment, by our doing
		s.snapshots.running = j
		j.onFree = func(failure string) {
			s.snapshots.running = nil
			if v.life.State != lifecycle.Freezing {
				v.resumeBeats()
			}
			s.snapshotOver(w, failure)
			s.later(s.nextSnapshot)
		}
		j.freeze()
	}
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
