package order

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// phase is where a service of the model is.
type phase string

const (
	stopped  phase = "stopped"
	waiting  phase = "waiting"
	starting phase = "starting"
	ready    phase = "running"
	ending   phase = "stopping"
	backoff  phase = "backoff"
	failed   phase = "failed"
)

// thing is a service of the model: it does what lifecycle does, in short.
type thing struct {
	Node
	phase    phase
	want     bool
	down     Wish
	again    bool // started again whatever it ended like
	late     bool
	instance uint64
	beside   map[string]uint64
}

// world is some services, and their order. What it knows of the order it takes
// from the nodes, not from the graph.
type world struct {
	g      *Graph
	things []*thing
}

func (w *world) find(name string) *thing {
	for _, x := range w.things {
		if x.Name == name {
			return x
		}
	}
	return nil
}

func (w *world) look(name string) Standing {
	x := w.find(name)
	return Standing{
		State: string(x.phase), Coming: x.want && x.phase != failed, Ready: x.phase == ready,
		Gone:   x.phase == stopped || x.phase == waiting || x.phase == backoff || x.phase == failed,
		Ending: x.phase == ending, Late: x.late, Down: x.down, Instance: x.instance, Beside: x.beside,
	}
}

// draw makes services whose names do not tell their order.
func draw(t *rapid.T) *world {
	w := &world{}
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "names")[:rapid.IntRange(1, 6).Draw(t, "services")]
	var nodes []Node
	for i, name := range names {
		n := Node{Name: name}
		for _, other := range names[:i] {
			switch rapid.IntRange(0, 5).Draw(t, "edge") {
			case 0:
				n.After = append(n.After, other)
			case 1:
				n.Requires = append(n.Requires, other)
			case 2:
				n.Requires, n.RestartWith = append(n.Requires, other), append(n.RestartWith, other)
			case 3:
				n.RestartWith = append(n.RestartWith, other)
			}
		}
		nodes = append(nodes, n)
		w.things = append(w.things, &thing{Node: n, phase: stopped})
	}
	w.g = New(nodes)
	return w
}

// try starts x, unless it is held.
func (w *world) try(t *rapid.T, x *thing) {
	if held := w.g.Held(x.Name, w.look); len(held) > 0 {
		x.phase = waiting
		return
	}
	for _, name := range x.Requires {
		if d := w.find(name); d.phase != ready || d.down != None {
			t.Fatalf("%s is started, which requires %s: %s %s", x.Name, name, d.phase, d.down)
		}
	}
	for _, name := range slices.Concat(x.After, x.RestartWith) {
		if d := w.find(name); d.phase != ready && d.down != Stop && w.possible(d) {
			t.Fatalf("%s is started, which is after %s: %s", x.Name, name, d.phase)
		}
	}
	x.phase, x.again, x.late = starting, false, false
	x.instance++
	x.beside = map[string]uint64{}
	for _, name := range x.RestartWith {
		x.beside[name] = w.find(name).instance
	}
}

// comesAfter reports whether x is after y, directly or not.
func (w *world) comesAfter(x, y *thing) bool {
	for _, name := range slices.Concat(x.After, x.Requires, x.RestartWith) {
		if d := w.find(name); d == y || w.comesAfter(d, y) {
			return true
		}
	}
	return false
}

func (w *world) end(x *thing) {
	if w.look(x.Name).Gone {
		x.phase = stopped
		return
	}
	x.phase = ending
}

// goDown begins an end that was asked for.
func (w *world) goDown(t *rapid.T, x *thing) {
	for _, y := range w.things {
		s := w.look(y.Name)
		if !w.look(x.Name).Gone && w.comesAfter(y, x) && !s.Gone && !s.Late && (s.Down != None || s.Ending) {
			t.Fatalf("%s ends while %s, which comes later, is still %s %s", x.Name, y.Name, y.phase, y.down)
		}
	}
	wish := x.down
	x.down = None
	if wish == Stop {
		x.want, x.again = false, false
		w.end(x)
		return
	}
	x.want, x.again = true, true
	if w.look(x.Name).Gone {
		w.try(t, x)
		return
	}
	x.phase = ending
}

// settle does what the plan says until it says nothing more.
func (w *world) settle(t *rapid.T) {
	for round := 0; ; round++ {
		if round > 10*len(w.things)+10 {
			t.Fatalf("it does not come to rest: %s", w)
		}
		p := w.g.Plan(w.look)
		moved := false
		for _, name := range p.Down {
			w.goDown(t, w.find(name))
			moved = true
		}
		for _, name := range p.Restart {
			if x := w.find(name); x.phase == ready || x.phase == starting {
				x.phase, x.again, moved = ending, true, true
			}
		}
		for _, x := range w.things {
			if x.phase == waiting && len(w.g.Held(x.Name, w.look)) == 0 {
				w.try(t, x)
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}

// ask is an operator.
func (w *world) ask(t *rapid.T) {
	x := rapid.SampledFrom(w.things).Draw(t, "service")
	switch rapid.IntRange(0, 3).Draw(t, "verb") {
	case 0, 1:
		for _, name := range w.g.Required(x.Name) {
			d := w.find(name)
			d.down, d.want = None, true
			switch d.phase {
			case stopped, failed, backoff:
				w.try(t, d)
			case ending:
				d.again = true
			}
		}
	case 2:
		for _, name := range w.g.Dependants(x.Name) {
			if d := w.find(name); d == x || !slices.Contains([]phase{stopped, failed}, d.phase) {
				d.down = Stop
			}
		}
	case 3:
		x.down = Restart
	}
}

// happen is what processes do.
func (w *world) happen(t *rapid.T, x *thing, good bool) {
	switch x.phase {
	case starting:
		x.phase = ready
		if !good && rapid.IntRange(0, 2).Draw(t, "start fails") == 0 {
			x.phase = ending
		}
	case ready:
		if !good {
			x.phase = ending
		}
	case ending:
		if !good && !x.late && rapid.IntRange(0, 4).Draw(t, "is stuck") == 0 {
			x.late = true
			return
		}
		x.late = false
		switch {
		case !x.want:
			x.phase = stopped
		case x.again || good || rapid.Bool().Draw(t, "at once"):
			w.try(t, x)
		case rapid.IntRange(0, 3).Draw(t, "gives up") == 0:
			x.phase = failed
		default:
			x.phase = backoff
		}
	case backoff:
		w.try(t, x)
	}
}

func (w *world) String() string {
	text := ""
	for _, x := range w.things {
		text += fmt.Sprintf("%s: %s want %v down %q after %v requires %v restart_with %v; held %v\n",
			x.Name, x.phase, x.want, x.down, x.After, x.Requires, x.RestartWith, w.g.Held(x.Name, w.look))
	}
	return text
}

// rest lets all go well until nothing moves any more.
func (w *world) rest(t *rapid.T) {
	for range 20 * len(w.things) {
		w.settle(t)
		for _, x := range w.things {
			w.happen(t, x, true)
		}
	}
	w.settle(t)
}

func TestOrderHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			if rapid.IntRange(0, 3).Draw(t, "who") == 0 {
				w.ask(t)
			} else {
				w.happen(t, rapid.SampledFrom(w.things).Draw(t, "whose"), false)
			}
			w.settle(t)
		}
		w.rest(t)
		for _, x := range w.things {
			w.checkRest(t, x)
		}
		w.endsInReverse(t)
	})
}

// possible reports whether x can get up, if all goes well and nobody does
// anything: it is wanted, and what it requires is there or can get up.
func (w *world) possible(x *thing) bool {
	if !x.want || x.phase == failed || x.down == Stop {
		return false
	}
	if s := w.look(x.Name); !s.Gone && !s.Ending {
		return true
	}
	for _, name := range x.Requires {
		if d := w.find(name); d.phase != ready && !w.possible(d) {
			return false
		}
	}
	return true
}

// checkRest: whatever can be up is, and who waits says for whom.
func (w *world) checkRest(t *rapid.T, x *thing) {
	if x.down != None || x.phase == starting || x.phase == ending || x.phase == backoff {
		t.Fatalf("%s is stuck: %s", x.Name, w)
	}
	if w.possible(x) && x.phase != ready {
		t.Fatalf("%s could be up: %s", x.Name, w)
	}
	for _, name := range x.RestartWith {
		if d := w.find(name); x.phase == ready && d.phase == ready && x.beside[name] != d.instance {
			t.Fatalf("%s runs beside instance %d of %s, not %d", x.Name, x.beside[name], name, d.instance)
		}
	}
	if x.phase != waiting {
		return
	}
	roots := w.g.Roots(x.Name, w.look)
	if len(roots) == 0 {
		t.Fatalf("%s waits for nobody: %s", x.Name, w)
	}
	hopeless := false
	for _, r := range roots {
		d := w.find(r.Name)
		hopeless = hopeless || d.phase == failed || d.phase == stopped
	}
	if !hopeless {
		t.Fatalf("%s waits for %v: %s", x.Name, roots, w)
	}
}

// endsInReverse: all end, and nobody before those that come later (goDown
// looks).
func (w *world) endsInReverse(t *rapid.T) {
	for _, x := range w.things {
		x.down = Stop
	}
	w.rest(t)
	for _, x := range w.things {
		if x.phase != stopped || x.want {
			t.Fatalf("%s was asked to stop: %s", x.Name, w)
		}
	}
}

// Circles are refused by the configuration; if there is one all the same, the
// order is still one.
func TestAnyGraphIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "nobody"}
		list := rapid.SliceOfN(rapid.SampledFrom(names), 0, 4)
		var nodes []Node
		for _, name := range names[:4] {
			nodes = append(nodes, Node{name, list.Draw(t, "after"), list.Draw(t, "requires"), list.Draw(t, "restart with")})
		}
		g := New(nodes)
		if len(g.Names()) != 4 {
			t.Fatalf("names %v", g.Names())
		}
		level := map[string]int{}
		for i, l := range g.Levels() {
			if len(l) == 0 {
				t.Fatalf("levels %v", g.Levels())
			}
			for _, name := range l {
				level[name] = i
			}
		}
		for i, n := range g.nodes {
			for _, j := range n.before {
				if j >= i || level[g.nodes[j].name] >= level[n.name] {
					t.Fatalf("%s is not before %s: %v", g.nodes[j].name, n.name, g.Levels())
				}
			}
		}
		// One of all that are to end may begin.
		all := func(string) Standing { return Standing{Coming: true, Ready: true, Down: Stop} }
		if p := g.Plan(all); len(p.Down) == 0 || len(p.Down)+len(p.Later) != 4 {
			t.Fatalf("of all none may end: %+v", p)
		}
	})
}
