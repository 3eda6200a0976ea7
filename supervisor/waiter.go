package supervisor

import (
	"fmt"
	"os"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

func ownPID() int { return os.Getpid() }

// waiter is a client that waits for what it asked of one service.
type waiter struct {
	verb     control.Verb
	instance uint64 // at the time of asking
	done     chan control.Result
}

// askAll carries out a request for services. Nothing is done when one of them
// does not exist.
func (s *Supervisor) askAll(a control.Ask) ([]*waiter, error) {
	if s.stopping {
		return nil, fmt.Errorf("cannot %s: %w", a.Verb, control.ErrShutdown)
	}
	for _, name := range a.Services {
		if _, ok := s.services[name]; !ok {
			return nil, s.noService(string(a.Verb), name)
		}
	}
	kinds := map[control.Verb]lifecycle.EventKind{
		control.Start: lifecycle.EventStart, control.Stop: lifecycle.EventStop, control.Restart: lifecycle.EventRestart,
	}
	kind, ok := kinds[a.Verb]
	if !ok {
		return nil, fmt.Errorf("cannot %s services: no such verb: %w", a.Verb, control.ErrConflict)
	}
	var waits []*waiter
	for _, name := range a.Services {
		v := s.services[name]
		w := &waiter{verb: a.Verb, instance: v.life.Instance, done: make(chan control.Result, 1)}
		waits = append(waits, w)
		if beyond, ok := a.Beyond[name]; ok && a.Verb == control.Restart {
			w.instance = min(w.instance, beyond)
		}
		if w.instance == v.life.Instance {
			s.event(name, "request", string(a.Verb)+" was asked for")
			v.step(lifecycle.Event{Kind: kind})
		}
		if !a.Wait {
			w.done <- control.Result{Service: name, State: v.life.State.String(), Done: true}
			continue
		}
		v.waiters = append(v.waiters, w)
		v.tellWaiters()
	}
	return waits, nil
}

// tellWaiters answers those whose wish is fulfilled, or cannot be.
func (v *service) tellWaiters() {
	rest := v.waiters[:0]
	for _, w := range v.waiters {
		over, err := v.judge(w)
		if !over {
			rest = append(rest, w)
			continue
		}
		r := control.Result{Service: v.cfg.Name, State: v.life.State.String(), Done: err == ""}
		r.Error = err
		w.done <- r
	}
	v.waiters = rest
}

// judge says whether a wish is over, and with what error.
func (v *service) judge(w *waiter) (over bool, err string) {
	up := v.life.State == lifecycle.Running && v.life.Ready
	switch w.verb {
	case control.Stop:
		if v.final() && !v.life.Up {
			return true, ""
		}
		if v.life.Up {
			return true, "another request started it meanwhile"
		}
	case control.Start:
		if up {
			return true, ""
		}
	case control.Restart:
		if up && v.life.Instance > w.instance {
			return true, ""
		}
	}
	if w.verb == control.Stop {
		return false, ""
	}
	switch {
	case v.life.State == lifecycle.Failed, v.life.State == lifecycle.Backoff && v.life.Instance > w.instance:
		return true, v.sentence
	case !v.life.Up:
		return true, "another request stopped it meanwhile"
	}
	return false, ""
}
