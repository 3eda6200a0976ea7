package supervisor

import (
	"fmt"
	"os"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/order"
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
	switch a.Verb {
	case control.Start, control.Stop, control.Restart:
	default:
		return nil, fmt.Errorf("cannot %s services: no such verb: %w", a.Verb, control.ErrConflict)
	}
	wishes := s.wishes(a.Verb, a.Services)
	waits := make([]*waiter, len(wishes))
	for i, one := range wishes {
		waits[i] = s.carryOut(a, one)
	}
	s.keepOrder()
	for i, one := range wishes {
		v, w := one.v, waits[i]
		if !a.Wait {
			w.done <- control.Result{Service: v.cfg.Name, State: v.life.State.String(), Done: true}
			continue
		}
		v.waiters = append(v.waiters, w)
		v.tellWaiters()
	}
	return waits, nil
}

// carryOut begins what a request means for one service, unless that has
// happened by now.
func (s *Supervisor) carryOut(a control.Ask, one wish) *waiter {
	v := one.v
	w := &waiter{verb: one.verb, instance: v.life.Instance, done: make(chan control.Result, 1)}
	if beyond, ok := a.Beyond[v.cfg.Name]; ok && one.verb == control.Restart {
		w.instance = min(w.instance, beyond)
	}
	why := "was asked for"
	if !one.named {
		why = along(a.Verb, a.Services)
	}
	if w.instance == v.life.Instance {
		one.carryOut(why)
	}
	return w
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
		if v.life.Up && v.order.Down != order.Stop {
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
	case !v.life.Up || v.order.Down == order.Stop:
		return true, "another request stopped it meanwhile"
	}
	if why := v.hopeless(); why != "" {
		return true, why
	}
	return false, ""
}
