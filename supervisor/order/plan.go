package order

import (
	"maps"
	"slices"
)

// Look tells what is true of a service.
type Look func(name string) Standing

// Plan is what may be done now. Names stand in the order in which it is done.
type Plan struct {
	Held    map[string]Waits // must not be started now: for whom each waits
	Down    []string         // may begin the end that was asked for
	Later   []string         // must not begin it yet, see EndsAfter
	Restart []string         // run beside another instance of a service in RestartWith than they were started beside
}

// Plan looks at all services.
func (g *Graph) Plan(look Look) Plan {
	p := Plan{Held: map[string]Waits{}}
	now := make([]Standing, len(g.nodes))
	for i, n := range g.nodes {
		now[i] = look(n.name)
	}
	v := &view{g: g, at: func(i int) Standing { return now[i] }}
	for i := range g.nodes {
		if w := v.held(i); len(w) > 0 {
			p.Held[g.nodes[i].name] = w
		}
		if v.outdated(i) {
			p.Restart = append(p.Restart, g.nodes[i].name)
		}
	}
	g.planDown(&p, now)
	return p
}

// view is one look at the services.
type view struct {
	g        *Graph
	at       func(int) Standing
	hopeless map[int]bool // what is known of stuck by now
}

func (g *Graph) view(look Look) *view {
	return &view{g: g, at: func(i int) Standing { return look(g.nodes[i].name) }}
}

// Held says for whom a service must wait before it is started now; nobody: it
// may be started. One that is to end waits for itself.
func (g *Graph) Held(name string, look Look) Waits {
	i, ok := g.byName[name]
	if !ok {
		return nil
	}
	return g.view(look).held(i)
}

func (v *view) held(i int) (w Waits) {
	n := v.g.nodes[i]
	if own := v.at(i); own.Down != None {
		return Waits{{n.name, "to " + string(own.Down)}}
	}
	for _, name := range n.missing {
		w = append(w, Blocker{name, "unknown"})
	}
	for _, j := range n.before {
		_, required := slices.BinarySearch(n.requires, j)
		if other := v.at(j); !other.serves() && (required || v.comes(j)) {
			w = append(w, Blocker{v.g.nodes[j].name, other.word()})
		}
	}
	return w
}

// comes reports whether a service is worth the wait of one that is merely after
// it: wanted, not given up, and not itself waiting for one that is not coming.
func (v *view) comes(i int) bool {
	s := v.at(i)
	return s.Coming && s.Down != Stop && !(s.Gone && v.stuck(i))
}

// stuck reports whether something that i requires does not come.
func (v *view) stuck(i int) bool {
	if is, known := v.hopeless[i]; known {
		return is
	}
	n := v.g.nodes[i]
	is := len(n.missing) > 0
	for _, j := range n.requires {
		is = is || !v.at(j).serves() && !v.comes(j)
	}
	if v.hopeless == nil {
		v.hopeless = map[int]bool{}
	}
	v.hopeless[i] = is
	return is
}

// word is the state, or what is about to happen to it.
func (s Standing) word() string {
	if s.Ready && s.Down != None {
		return "to " + string(s.Down)
	}
	return s.State
}

// outdated reports whether a service has to be restarted since another one was.
func (v *view) outdated(i int) bool {
	n := v.g.nodes[i]
	if len(n.restart) == 0 {
		return false
	}
	own := v.at(i)
	if own.Gone || own.Ending || own.Down != None || !own.Coming {
		return false
	}
	for _, j := range n.restart {
		other := v.at(j)
		if was, known := own.Beside[v.g.nodes[j].name]; known && was != other.Instance && other.serves() {
			return true
		}
	}
	return false
}

// planDown goes from the last to the first: what has somebody behind it that is
// to go first waits for that.
func (g *Graph) planDown(p *Plan, now []Standing) {
	ahead := make([]bool, len(now)) // somebody later in the order is to go first
	for i := len(now) - 1; i >= 0; i-- {
		for _, j := range g.nodes[i].later {
			ahead[i] = ahead[i] || ahead[j] || now[j].goes()
		}
		switch {
		case now[i].Down == None:
		case ahead[i] && !now[i].Gone:
			p.Later = append(p.Later, g.nodes[i].name)
		default:
			p.Down = append(p.Down, g.nodes[i].name)
		}
	}
}

// goes reports whether it is on its way out, and is waited for.
func (s Standing) goes() bool {
	return !s.Gone && !s.Late && (s.Down != None || s.Ending)
}

// EndsAfter names those that have to be gone before a service begins the end
// that was asked for: the nearest ones along each way.
func (g *Graph) EndsAfter(name string, look Look) (w Waits) {
	start, ok := g.byName[name]
	if s := look(name); !ok || s.Down == None || s.Gone {
		return nil
	}
	found, seen := map[int]bool{}, map[int]bool{}
	todo := slices.Clone(g.nodes[start].later)
	for len(todo) > 0 {
		j := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[j] {
			continue
		}
		seen[j] = true
		if found[j] = look(g.nodes[j].name).goes(); !found[j] {
			todo = append(todo, g.nodes[j].later...)
		}
	}
	for _, j := range slices.Sorted(maps.Keys(found)) {
		if found[j] {
			w = append(w, Blocker{g.nodes[j].name, look(g.nodes[j].name).word()})
		}
	}
	return w
}

// Roots names those at the end of the chain: whom a service waits for, directly
// or not, and who do not wait for others themselves.
func (g *Graph) Roots(name string, look Look) Waits {
	start, ok := g.byName[name]
	if !ok {
		return nil
	}
	v := g.view(look)
	var roots Waits
	seen := map[string]bool{name: true}
	todo := v.held(start)
	for len(todo) > 0 {
		b := todo[0]
		todo = todo[1:]
		if seen[b.Name] {
			continue
		}
		seen[b.Name] = true
		i, ok := g.byName[b.Name]
		if ok && v.at(i).Coming && v.at(i).Gone {
			if more := v.held(i); len(more) > 0 {
				todo = append(todo, more...)
				continue
			}
		}
		roots = append(roots, b)
	}
	return roots
}
