package supervisor

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/openfiles"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

const (
	reopenLimit  = 8 * time.Second // of one round; a client waits for 10 s
	maxRounds    = 4               // rounds under way at a time
	namesEvery   = 5 * time.Minute // how often names of open files are noted
	maxNames     = 1 << 16         // files whose names are remembered
	firstLookAge = 10 * time.Second
)

// reopens opens log files anew, in rounds. A round is for all who asked before
// it began: what was rotated before a request is reopened by a round that began
// after it, and twenty requests at a time are one round or two. The loop owns it.
type reopens struct {
	next      *round // has not begun; collects requests
	beginning bool   // a round reopens and signals; the next one waits for that
	underWay  int    // rounds that wait for services
	names     map[openfiles.ID]string
	lookAt    time.Duration // when names are noted next
	looking   bool
}

// round is one opening of files. Everything but waiters is fixed when it begins.
type round struct {
	all     bool
	names   map[string]bool
	waiters []func(control.Reopened)
}

// reopen asks for a round about these services, all when there is none. done is
// called by the loop.
func (s *Supervisor) reopen(services []string, done func(control.Reopened)) {
	r := &s.reopens
	if r.next == nil {
		r.next = &round{names: map[string]bool{}}
	}
	r.next.all = r.next.all || len(services) == 0
	for _, name := range services {
		r.next.names[name] = true
	}
	r.next.waiters = append(r.next.waiters, func(all control.Reopened) { done(only(all, services)) })
	s.beginRound()
}

// only is the part of a report that is about some services, and vigil itself.
func only(all control.Reopened, services []string) control.Reopened {
	part := control.Reopened{Error: all.Error, Seconds: all.Seconds, Services: []control.ReopenedService{}, Stale: []control.Stale{}}
	want := map[string]bool{"": true}
	for _, name := range services {
		want[name] = true
	}
	for _, one := range all.Services {
		if len(services) == 0 || want[one.Service] {
			part.Services = append(part.Services, one)
		}
	}
	for _, one := range all.Stale {
		if len(services) == 0 || want[one.Service] {
			part.Stale = append(part.Stale, one)
		}
	}
	return part
}

// beginRound begins the next round when it may.
func (s *Supervisor) beginRound() {
	r := &s.reopens
	if r.next == nil || r.beginning || r.underWay >= maxRounds {
		return
	}
	now := r.next
	r.next, r.beginning = nil, true
	r.underWay++
	work := s.reopenWork(now)
	go func() {
		report, names := work.do(func() {
			s.post(func() {
				s.reopens.beginning = false
				s.beginRound()
			})
		})
		s.post(func() {
			s.reopens.underWay--
			s.reopens.learn(names)
			for _, tell := range now.waiters {
				tell(report)
			}
			s.tellReopened(report)
			s.beginRound()
		})
	}()
}

// reopenWork is what the goroutine of a round needs to know.
func (s *Supervisor) reopenWork(r *round) *reopening {
	w := &reopening{
		log: s.ownLog, names: s.reopens.names, keeper: s.welcome.KeeperPID,
		send: s.sendFromOutside, ctx: s.ctx, began: time.Now(),
	}
	for _, name := range s.names {
		if !r.all && !r.names[name] {
			continue
		}
		v := s.services[name]
		one := &reopeningService{result: control.ReopenedService{Service: name}, output: v.output}
		if v.cfg.ReopenSignal != 0 && v.mayTakeSignal() {
			one.signal, one.id, one.tree = v.cfg.ReopenSignal, v.id(), v.tree()
		}
		w.services = append(w.services, one)
	}
	return w
}

// tellReopened records what came of a round.
func (s *Supervisor) tellReopened(r control.Reopened) {
	if r.Error != "" {
		s.event("", "alert", "cannot open vigil's own log anew: "+r.Error)
	}
	for _, one := range r.Services {
		switch {
		case one.Error != "":
			s.event(one.Service, "alert", "cannot open its logs anew: "+one.Error)
		case one.Note != "":
			s.event(one.Service, "reopened", one.Note)
		case one.Signal != "":
			s.event(one.Service, "reopened", fmt.Sprintf("its log file is open anew, and it was asked to open its own (%s to pid %d)", one.Signal, one.PID))
		default:
			s.event(one.Service, "reopened", "its log file is open anew")
		}
	}
	for _, one := range r.Stale {
		s.event(one.Service, "alert", staleWords(one))
	}
}

func staleWords(f control.Stale) string {
	what := "which was rotated"
	if f.Deleted {
		what = "which is deleted"
	}
	return fmt.Sprintf("pid %d (%s) still writes to %s on descriptor %d, %s", f.PID, f.Process, f.Path, f.FD, what)
}

// learn adds what a round found. The map is never changed, since rounds under
// way hold it.
func (r *reopens) learn(found map[openfiles.ID]string) {
	merged := maps.Clone(r.names)
	if merged == nil {
		merged = map[openfiles.ID]string{}
	}
	for id, name := range found {
		if _, known := merged[id]; known || len(merged) < maxNames {
			merged[id] = name
		}
	}
	r.names = merged
}

// replace takes what a look at all services found. What was known first counts:
// a file may have been renamed since. Files that are not open are forgotten.
func (r *reopens) replace(found map[openfiles.ID]string) {
	for id := range found {
		if first, known := r.names[id]; known {
			found[id] = first
		}
	}
	r.names = found
}

// noteNames notes the names of files that services with a reopen_signal have open,
// so that a later round knows which of them were renamed. It is a few system
// calls for each descriptor.
func (s *Supervisor) noteNames(now time.Duration) {
	r := &s.reopens
	if r.lookAt == 0 || now < r.lookAt || r.looking {
		return
	}
	r.lookAt = now + namesEvery
	var trees []tree
	for _, name := range s.names {
		if v := s.services[name]; v.cfg.ReopenSignal != 0 && v.life.Alive {
			trees = append(trees, v.tree())
		}
	}
	if len(trees) == 0 {
		return
	}
	r.looking = true
	go func() {
		names := map[openfiles.ID]string{}
		for _, t := range trees {
			files, _ := t.written() // whatever cannot be seen has no name
			for _, f := range files {
				if !f.Deleted && len(names) < maxNames {
					names[f.ID] = f.Path
				}
			}
		}
		s.post(func() {
			s.reopens.looking = false
			s.reopens.replace(names)
		})
	}()
}

// lookSoon lets the names of a new instance's files be noted in a while.
func (r *reopens) lookSoon(now time.Duration) {
	if soon := now + firstLookAge; r.lookAt == 0 || soon < r.lookAt {
		r.lookAt = soon
	}
}

// sendFromOutside sends a signal for a goroutine that is not the loop.
func (s *Supervisor) sendFromOutside(ctx context.Context, request protocol.Signal) error {
	result := make(chan error, 1)
	s.post(func() { s.sendSignal(request, func(err error) { result <- err }) })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return control.ErrShutdown
	}
}

// sendSignal asks the keeper to send a signal; done is called by the loop.
func (s *Supervisor) sendSignal(request protocol.Signal, done func(error)) {
	err := s.keeper.send(protocol.TSignal, request, nil, func(m protocol.Message) {
		_, err := replyError(m)
		done(err)
	})
	if err != nil {
		s.check(err)
		done(err)
	}
}

// reopenAll is the answer to USR1.
func (s *Supervisor) reopenAll() { s.reopen(nil, func(control.Reopened) {}) }
