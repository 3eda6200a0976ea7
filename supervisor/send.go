package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// noService is the error about a service that is not there.
func (s *Supervisor) noService(verb, name string) error {
	hint := ""
	if near := config.Nearest(name, s.names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("cannot %s service %q: %w%s", verb, name, control.ErrNotFound, hint)
}

func (s *Supervisor) knowAll(verb string, names []string) error {
	for _, name := range names {
		if _, ok := s.services[name]; !ok {
			return s.noService(verb, name)
		}
	}
	return nil
}

// sendTo sends a signal to the main process of services that somebody named.
// done is called by the loop, once for each service, in any order.
func (s *Supervisor) sendTo(names []string, sig syscall.Signal, who control.Caller, done func(control.SignalResult)) {
	word := signals.Name(sig)
	for _, name := range names {
		v := s.services[name]
		r := control.SignalResult{Service: name, Signal: word}
		if !v.life.Alive || v.started.PID == 0 {
			r.Absent, r.Error = true, fmt.Sprintf("it is %s and has no process", v.life.State)
			done(r)
			continue
		}
		r.PID = v.started.PID
		from := senderOf(who)
		s.sendSignal(protocol.Signal{ID: v.id(), Number: int(sig), Scope: protocol.ScopeMain, From: &from}, func(err error) {
			if err != nil {
				r.Error = err.Error()
				s.event(name, "signal", fmt.Sprintf("%s by %s was not sent: %v", word, who, err))
			} else {
				s.event(name, "signal", fmt.Sprintf("sent %s by %s", word, who))
			}
			done(r)
		})
	}
}

// sendReloadSignals asks the services that have a reload_signal to read their
// configuration again, after a reload of vigil; not those in except, which the
// reload has started anew.
func (s *Supervisor) sendReloadSignals(except map[string]bool) {
	for _, name := range s.names {
		v := s.services[name]
		if sig := v.cfg.ReloadSignal; sig != 0 && !except[name] && v.mayTakeSignal() {
			v.askBySignal(sig, "reload_signal")
		}
	}
}

// afterReload asks the services that a reload has left alone to follow it: by
// their reload_signal, and to open their logs anew, since a rotation may have
// been the reason. except are those that are restarted or stopped.
func (s *Supervisor) afterReload(except []string) {
	skip := map[string]bool{}
	for _, name := range except {
		skip[name] = true
	}
	s.sendReloadSignals(skip)
	s.reopenAll()
}

// forwardSignal passes a signal of the keeper's on to the services whose
// configuration asks for it, and reports whether there is any.
func (s *Supervisor) forwardSignal(sig syscall.Signal) bool {
	asked := false
	for _, name := range s.names {
		v := s.services[name]
		if !slices.Contains(v.cfg.Forward, sig) {
			continue
		}
		asked = true
		if v.mayTakeSignal() {
			v.askBySignal(sig, "forward")
		}
	}
	return asked
}

// askBySignal sends a signal that asks for something, unless it would end the
// program, which then has no handler for it, or not yet.
func (v *service) askBySignal(sig syscall.Signal, key string) {
	s, name, id, pid := v.s, v.cfg.Name, v.id(), v.started.PID
	go func() {
		why := unheard(pid, sig)
		s.post(func() {
			if why != "" {
				s.event(name, "alert", fmt.Sprintf("%s %s was not sent: %s", key, signals.Name(sig), why))
				return
			}
			s.sendSignal(protocol.Signal{ID: id, Number: int(sig), Scope: protocol.ScopeMain}, func(err error) {
				if err != nil {
					s.event(name, "alert", fmt.Sprintf("%s %s was not sent: %v", key, signals.Name(sig), err))
					return
				}
				s.event(name, "signal", fmt.Sprintf("sent %s by vigil (%s)", signals.Name(sig), key))
			})
		})
	}()
}

// Signal sends a signal to services.
func (b backend) Signal(ctx context.Context, who control.Caller, a control.SignalAsk) ([]control.SignalResult, error) {
	sig, err := config.ParseSignal(a.Signal)
	if err != nil {
		return nil, fmt.Errorf("cannot signal %s: %w: %w", strings.Join(a.Services, ", "), control.ErrInvalid, err)
	}
	results := make(chan control.SignalResult, len(a.Services))
	var failed error
	err = b.call(func() {
		if failed = b.s.knowAll("signal", a.Services); failed == nil {
			b.s.sendTo(a.Services, sig, who, func(r control.SignalResult) { results <- r })
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	var out []control.SignalResult
	for range a.Services {
		select {
		case r := <-results:
			out = append(out, r)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.s.ctx.Done():
			return nil, control.ErrShutdown
		}
	}
	slices.SortStableFunc(out, func(x, y control.SignalResult) int {
		return slices.Index(a.Services, x.Service) - slices.Index(a.Services, y.Service)
	})
	return out, nil
}

// Reopen opens log files anew.
func (b backend) Reopen(ctx context.Context, r control.Reopen) (control.Reopened, error) {
	done := make(chan control.Reopened, 1)
	var failed error
	err := b.call(func() {
		if failed = b.s.knowAll("reopen", r.Services); failed == nil {
			b.s.reopen(r.Services, func(report control.Reopened) { done <- report })
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return control.Reopened{}, err
	}
	select {
	case report := <-done:
		return report, nil
	case <-ctx.Done():
		return control.Reopened{}, ctx.Err()
	case <-b.s.ctx.Done():
		return control.Reopened{}, control.ErrShutdown
	}
}
