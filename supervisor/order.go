package supervisor

import (
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/order"
)

// Package order says who may start and who may end; this file asks it after
// everything that has happened, and carries out what it says. Whatever starts a
// service asks too, in step.

// How long the end of a service may hold up the ends of others.
const (
	lateStart = 30 * time.Second // a start without an answer, which must come before it can be stopped
	lateKill  = 10 * time.Second // processes that are killed and not gone: uninterruptible I/O
)

// ordering is the order of all services.
type ordering struct {
	known bool         // all services are recovered
	graph *order.Graph // nil: to be made anew
	due   bool         // something has happened since the last look
}

// inOrder is what the order adds to one service.
type inOrder struct {
	orderNote
	looked   bool          // by this supervisor
	held     string        // whom it waits for, as it was told
	later    bool          // that it ends after others was told
	killed   uint64        // the instance that was killed
	killedAt time.Duration // when that was first
	lateSeen time.Duration // the time of being late that was noticed
}

// orderNote is the part that outlives a supervisor. The names are kept for when
// the configuration does not have the service any more.
type orderNote struct {
	Down        order.Wish        `json:"down,omitempty"`   // asked for, and held back
	Closed      bool              `json:"closed,omitempty"` // it must not be started at present
	Beside      map[string]uint64 `json:"beside,omitempty"` // see order.Standing
	After       []string          `json:"after,omitempty"`
	Requires    []string          `json:"requires,omitempty"`
	RestartWith []string          `json:"restart_with,omitempty"`
}

func (v *service) orderNote() orderNote {
	n := v.order.orderNote
	n.After, n.Requires, n.RestartWith = v.cfg.After, v.cfg.Requires, v.cfg.RestartWith
	return n
}

// orderOf gives a service that has left the configuration its former place.
func (n note) orderOf(cfg *config.Service) {
	cfg.After, cfg.Requires, cfg.RestartWith = n.Order.After, n.Order.Requires, n.Order.RestartWith
}

// OrderOf is the order of the services of a configuration.
func OrderOf(c *config.Config) *order.Graph {
	nodes := make([]order.Node, len(c.Services))
	for i, cfg := range c.Services {
		nodes[i] = nodeOf(cfg)
	}
	return order.New(nodes)
}

func nodeOf(cfg config.Service) order.Node {
	return order.Node{Name: cfg.Name, After: cfg.After, Requires: cfg.Requires, RestartWith: cfg.RestartWith}
}

func (s *Supervisor) graph() *order.Graph {
	if s.order.graph == nil {
		nodes := make([]order.Node, 0, len(s.services))
		for _, v := range s.services {
			nodes = append(nodes, nodeOf(v.cfg))
		}
		s.order.graph = order.New(nodes)
	}
	return s.order.graph
}

// looker answers the order's questions about services.
func (s *Supervisor) looker() order.Look {
	now := clock.Boot()
	return func(name string) order.Standing {
		if v, ok := s.services[name]; ok {
			return v.standing(now)
		}
		return order.Standing{}
	}
}

func (v *service) standing(now time.Duration) order.Standing {
	l := v.life
	up := l.State == lifecycle.Running || l.State == lifecycle.Suspect
	late := v.lateAt()
	return order.Standing{
		State: l.State.String(), Coming: l.Up && !v.final(), Ready: up && l.Ready,
		Gone:   v.gone(),
		Ending: !v.gone() && (l.Asked || l.State == lifecycle.Stopping || l.State == lifecycle.Freezing),
		Late:   late > 0 && now >= late,
		Down:   v.order.Down, Instance: l.Instance, Beside: v.order.Beside,
	}
}

// gone reports whether no process of it is left.
func (v *service) gone() bool {
	switch v.life.State {
	case lifecycle.Stopped, lifecycle.Failed, lifecycle.Backoff, lifecycle.Waiting:
		return true
	}
	return false
}

// lateAt is when nobody waits any more for the end of the service; 0: that is
// not a matter of time, for it has its stop_timeout, or its capture's budget,
// and is killed then.
func (v *service) lateAt() time.Duration {
	switch {
	case v.gone():
		return 0
	case v.life.Pending:
		return v.life.StartedAt + lateStart
	case v.order.killed != 0 && v.order.killed == v.life.Instance:
		return v.order.killedAt + lateKill
	}
	return 0
}

// noteKill remembers when the instance was first killed.
func (v *service) noteKill() {
	if v.order.killed != v.life.Instance {
		v.order.killed, v.order.killedAt = v.life.Instance, clock.Boot()
	}
}

// lookLate notices that a service has become late.
func (v *service) lookLate(now time.Duration) {
	at := v.lateAt()
	if at == 0 || now < at || v.order.lateSeen == at {
		return
	}
	v.order.lateSeen, v.s.order.due = at, true
	for _, other := range v.s.services {
		if other.order.later {
			v.s.event(v.cfg.Name, "order", "it does not end; nobody waits for that any more")
			return
		}
	}
}

// nextLate is when lookLate has something to notice; 0: never.
func (v *service) nextLate() time.Duration {
	if at := v.lateAt(); at != v.order.lateSeen {
		return at
	}
	return 0
}

// heldBack says why the service must not be started now; "": it may be.
func (v *service) heldBack() string {
	if !v.s.order.known {
		return "" // what starts here was asked of the keeper already
	}
	return v.heldWords(v.s.graph().Held(v.cfg.Name, v.s.looker()))
}

func (v *service) heldWords(w order.Waits) string {
	switch {
	case len(w) == 0:
		return ""
	case v.order.Down != order.None:
		return "it is to " + string(v.order.Down)
	}
	return "for " + w.String()
}

// stepped is told of every step: of a new instance it is noted which others it
// was started beside.
func (v *service) stepped(before lifecycle.Service) {
	v.s.order.due = true
	if v.life.Instance != before.Instance {
		v.order.Beside = nil
		v.fillBeside()
	}
	if v.life.State == lifecycle.Waiting && before.State != lifecycle.Waiting {
		v.order.held = "" // its reason is said with the state
	}
}

// fillBeside takes for granted what is not known of the services in
// restart_with: that it was started beside those of now. It reports whether
// anything was not known.
func (v *service) fillBeside() (filled bool) {
	for _, name := range v.cfg.RestartWith {
		other, ok := v.s.services[name]
		if _, known := v.order.Beside[name]; ok && !known && other.life.Instance > 0 {
			if v.order.Beside == nil {
				v.order.Beside = map[string]uint64{}
			}
			v.order.Beside[name], filled = other.life.Instance, true
		}
	}
	return filled
}

// keepOrder carries out what the order of the services allows, until it comes
// to rest. Nothing of it may begin inside a step.
func (s *Supervisor) keepOrder() {
	for range 2*len(s.services) + 2 { // what is left is done in the loop's next turn
		if !s.order.due || s.retired {
			return
		}
		s.order.due = false
		s.turn()
		s.runLater()
	}
}

func (s *Supervisor) turn() {
	for _, v := range s.services {
		if v.life.Instance > 0 && v.fillBeside() {
			v.save()
		}
	}
	g := s.graph()
	p := g.Plan(s.looker())
	for _, name := range p.Later { // noted before anything is done
		s.services[name].tellLater()
	}
	for _, name := range p.Down {
		s.services[name].goDown()
	}
	for _, name := range p.Restart {
		s.services[name].restartBeside()
	}
	for _, name := range g.Names() {
		v := s.services[name]
		v.gate(p.Held[name])
		v.tellWaiters()
	}
}

// tellLater notes and says, once, that a service will end after others.
func (v *service) tellLater() {
	if v.order.later {
		return
	}
	v.order.later = true
	v.save()
	v.s.event(v.cfg.Name, "order", fmt.Sprintf("it is to %s; first %s must be gone", v.order.Down, v.s.graph().EndsAfter(v.cfg.Name, v.s.looker())))
}

// goDown begins the end that was asked for.
func (v *service) goDown() {
	kind := lifecycle.EventStop
	if v.order.Down == order.Restart {
		kind = lifecycle.EventRestart
	}
	v.order.Down, v.order.later = order.None, false
	v.step(lifecycle.Event{Kind: kind})
}

// restartBeside follows the restart of another service.
func (v *service) restartBeside() {
	for _, name := range v.cfg.RestartWith {
		if other, ok := v.s.services[name]; ok && other.life.Instance != v.order.Beside[name] {
			v.s.event(v.cfg.Name, "order", "it is restarted, since "+name+" was")
		}
	}
	v.step(lifecycle.Event{Kind: lifecycle.EventRestart})
}

// gate lets the service be started, or not, from now on.
func (v *service) gate(w order.Waits) {
	closed := len(w) > 0
	changed := closed != v.order.Closed || closed && !v.order.looked
	v.order.looked = true
	if changed && closed != v.order.Closed {
		v.order.Closed = closed
		v.save()
	}
	if changed || !closed && v.life.State == lifecycle.Waiting {
		v.step(lifecycle.Event{Kind: lifecycle.EventGate})
	}
	v.tellHeld(w)
}

// tellHeld says when a service waits for others than before, or one of them has
// come to its end. How one on its way up fares it says itself.
func (v *service) tellHeld(w order.Waits) {
	if v.life.State != lifecycle.Waiting || len(w) == 0 {
		return
	}
	text := ""
	for _, b := range w {
		text += b.Name
		if b.State == lifecycle.Failed.String() || b.State == lifecycle.Stopped.String() {
			text += " " + b.State
		}
		text += ","
	}
	if v.order.held != "" && v.order.held != text {
		v.s.event(v.cfg.Name, "order", "it waits "+v.heldWords(w))
	}
	v.order.held = text
}
