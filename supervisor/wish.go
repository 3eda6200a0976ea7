package supervisor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/order"
)

// wish is what a request means for one service: for one that it names, or for
// one that has to go along.
type wish struct {
	v     *service
	verb  control.Verb
	named bool
}

// wishes are all that a request means, in the order in which they are carried
// out: what a service requires is started with it, and what requires a service
// is stopped with it.
func (s *Supervisor) wishes(verb control.Verb, names []string) []wish {
	g := s.graph()
	var out []wish
	add := func(list []string, verb control.Verb, goesAlong func(*service) bool) {
		for _, name := range list {
			v := s.services[name]
			switch named := slices.Contains(names, name); {
			case named:
				out = append(out, wish{v, verb, true})
			case goesAlong(v):
				along := verb
				if verb == control.Restart {
					along = control.Start
				}
				out = append(out, wish{v, along, false})
			}
		}
	}
	if verb == control.Stop {
		add(g.Dependants(names...), verb, func(v *service) bool { return !v.final() })
	} else {
		add(g.Required(names...), verb, (*service).mustComeToo)
	}
	return out
}

// mustComeToo reports whether a service that another one requires is not up,
// nor on its way.
func (v *service) mustComeToo() bool {
	return !v.leaving && (!v.life.Up || v.order.Down == order.Stop || v.life.State == lifecycle.Failed || v.life.State == lifecycle.Backoff)
}

// carryOut begins what was wished.
func (w wish) carryOut(why string) {
	v := w.v
	v.s.event(v.cfg.Name, "request", string(w.verb)+" "+why)
	switch w.verb {
	case control.Start:
		v.wantUp()
	case control.Stop:
		v.wantDown(order.Stop)
	case control.Restart:
		v.wantDown(order.Restart)
	}
}

// wantUp starts the service, now or when those before it are ready. A restart
// that is still to come leads there too, and somebody may wait for it.
func (v *service) wantUp() {
	if v.order.Down == order.Stop {
		v.order.Down, v.order.later = order.None, false
		v.save()
	}
	v.step(lifecycle.Event{Kind: lifecycle.EventStart})
}

// wantDown is carried out by keepOrder. It is noted there if it has to wait.
func (v *service) wantDown(w order.Wish) {
	v.order.Down, v.order.later, v.s.order.due = w, false, true
}

// startAll starts what shall run and was not found running, and what that
// requires.
func (s *Supervisor) startAll() {
	var names []string
	for _, name := range s.names {
		if s.services[name].mayAutostart() {
			names = append(names, name)
		}
	}
	for _, w := range s.wishes(control.Start, names) {
		if !w.named {
			s.event(w.v.cfg.Name, "request", "start: others require it")
		}
		w.v.wantUp()
	}
}

// mayAutostart reports whether nobody has decided about the service yet.
func (v *service) mayAutostart() bool {
	return v.cfg.Autostart && !v.leaving && !v.noted && !v.life.Up && v.life.Instance == 0
}

// along words why a service goes along with others.
func along(verb control.Verb, names []string) string {
	if verb == control.Stop {
		return "was asked for " + strings.Join(names, ", ") + ", which it requires"
	}
	return "was asked for, since " + strings.Join(names, ", ") + " cannot be started without it"
}

// hopeless says why a service that waits will not be started soon; "": it may.
func (v *service) hopeless() string {
	if v.life.State != lifecycle.Waiting {
		return ""
	}
	for _, root := range v.s.graph().Roots(v.cfg.Name, v.s.looker()) {
		other, ok := v.s.services[root.Name]
		if ok && !other.final() && other.life.State != lifecycle.Backoff {
			continue
		}
		text := fmt.Sprintf("it waits for %s (%s)", root.Name, root.State)
		if ok && other.sentence != "" {
			text += ": " + other.sentence
		}
		return text
	}
	return ""
}

// describeOrder says whom the service waits for.
func (v *service) describeOrder(c *control.Service) {
	look := v.s.looker()
	if v.life.State == lifecycle.Waiting {
		c.WaitingFor = blockers(v.s.graph().Held(v.cfg.Name, look))
	}
	if v.order.Down != order.None {
		c.EndsAfter = blockers(v.s.graph().EndsAfter(v.cfg.Name, look))
	}
	if v.order.Down == order.Stop {
		c.Desired = "down"
	}
}

func blockers(w order.Waits) (out []control.Blocker) {
	for _, b := range w {
		out = append(out, control.Blocker{Service: b.Name, State: b.State})
	}
	return out
}
