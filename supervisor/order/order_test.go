package order

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// shop is an order with every kind of edge.
var shop = []Node{
	{Name: "web", Requires: []string{"db", "cache"}, RestartWith: []string{"db"}},
	{Name: "proxy", After: []string{"web"}},
	{Name: "db"},
	{Name: "cache", After: []string{"db"}},
	{Name: "mail", Requires: []string{"db"}},
	{Name: "alone"},
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		nodes []Node
		want  string
	}{
		{nil, "[]"},
		{shop, "[[alone db] [cache mail] [web] [proxy]]"},
		{[]Node{{Name: "a", After: []string{"nobody", "b", "b"}}, {Name: "b"}, {Name: "b", After: []string{"a"}}}, "[[b] [a]]"},
		// The configuration refuses circles; here the edge that closes one does not count.
		{[]Node{{Name: "a", After: []string{"a"}}}, "[[a]]"},
		{[]Node{{Name: "a", After: []string{"b"}}, {Name: "b", Requires: []string{"c"}}, {Name: "c", After: []string{"a"}}}, "[[c] [b] [a]]"},
	} {
		if got := fmt.Sprint(New(c.nodes).Levels()); got != c.want {
			t.Errorf("%v: %s, not %s", c.nodes, got, c.want)
		}
	}
}

func TestClosures(t *testing.T) {
	g := New(shop)
	for _, c := range []struct{ what, got, want string }{
		{"names", fmt.Sprint(g.Names()), "[alone db cache mail web proxy]"},
		{"web requires", fmt.Sprint(g.Required("web")), "[db cache web]"},
		{"proxy requires", fmt.Sprint(g.Required("proxy", "nobody")), "[proxy]"},
		{"db is required by", fmt.Sprint(g.Dependants("db")), "[web mail db]"},
		{"cache is required by", fmt.Sprint(g.Dependants("cache", "alone")), "[web cache alone]"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, not %s", c.what, c.got, c.want)
		}
	}
}

// Standings in words, for tables.
var standings = map[string]Standing{
	"stopped":  {State: "stopped", Gone: true},
	"failed":   {State: "failed", Gone: true},
	"waiting":  {State: "waiting", Gone: true, Coming: true},
	"starting": {State: "starting", Coming: true},
	"ready":    {State: "running", Coming: true, Ready: true},
	"crashed":  {State: "stopping", Coming: true, Ending: true},
	"backoff":  {State: "backoff", Coming: true, Gone: true},
	"stopping": {State: "stopping", Ending: true},
	"stuck":    {State: "stopping", Ending: true, Late: true},
	"to-stop":  {State: "running", Coming: true, Ready: true, Down: Stop},
	"to-again": {State: "running", Coming: true, Ready: true, Down: Restart},
}

// looking makes a Look of "db ready, web waiting".
func looking(t *testing.T, text string) Look {
	all := map[string]Standing{}
	for part := range strings.SplitSeq(text, ", ") {
		name, word, _ := strings.Cut(part, " ")
		s, ok := standings[word]
		if !ok && part != "" {
			t.Fatalf("no standing %q", word)
		}
		all[name] = s
	}
	return func(name string) Standing { return all[name] }
}

func TestHeld(t *testing.T) {
	nodes := []Node{{Name: "web", Requires: []string{"db"}, After: []string{"cache"}}, {Name: "db"}, {Name: "cache"}}
	g := New(nodes)
	for _, c := range []struct{ states, want string }{
		{"db ready, cache ready", ""},
		{"db ready, cache stopped", ""},
		{"db ready, cache failed", ""},
		{"db ready, cache stopping", ""},
		{"db ready, cache to-stop", ""},
		{"db ready, cache starting", "cache (starting)"},
		{"db ready, cache waiting", "cache (waiting)"},
		{"db ready, cache backoff", "cache (backoff)"},
		{"db ready, cache to-again", "cache (to restart)"},
		{"db stopped, cache ready", "db (stopped)"},
		{"db failed, cache ready", "db (failed)"},
		{"db starting, cache starting", "cache (starting), db (starting)"},
		{"db crashed, cache ready", "db (stopping)"},
		{"db to-stop, cache ready", "db (to stop)"},
		{"db ready, cache ready, web to-stop", "web (to stop)"},
	} {
		if got := g.Held("web", looking(t, c.states)).String(); got != c.want {
			t.Errorf("%s: web waits for %q, not %q", c.states, got, c.want)
		}
	}
	if got := g.Held("db", looking(t, "web ready")); got != nil {
		t.Errorf("db waits for %v", got)
	}
	if got := g.Held("nobody", looking(t, "")); got != nil {
		t.Errorf("nobody waits for %v", got)
	}
	lost := New([]Node{{Name: "web", Requires: []string{"gone"}}})
	if got := lost.Held("web", looking(t, "")).String(); got != "gone (unknown)" {
		t.Errorf("web waits for %q", got)
	}
}

func TestDown(t *testing.T) {
	g := New(shop)
	for _, c := range []struct{ states, down, later string }{
		{"db to-stop", "[db]", "map[]"},
		{"db to-stop, web ready", "[db]", "map[]"}, // whoever else is to end is said by Dependants
		{"db to-stop, web to-stop", "[web]", "map[db:web (to stop)]"},
		{"db to-stop, web to-stop, proxy to-stop", "[proxy]", "map[db:web (to stop) web:proxy (to stop)]"},
		{"db to-stop, web stopping", "[]", "map[db:web (stopping)]"},
		{"db to-stop, web stuck", "[db]", "map[]"},
		{"db to-stop, web stopped", "[db]", "map[]"},
		{"db to-stop, web waiting", "[db]", "map[]"},
		// The order holds across a service that is down already.
		{"db to-stop, web stopped, proxy stopping", "[]", "map[db:proxy (stopping)]"},
		{"db to-again, web to-again", "[web]", "map[db:web (to restart)]"},
		{"db to-again, cache to-stop, mail to-stop, alone to-stop", "[mail cache alone]", "map[db:cache (to stop), mail (to stop)]"},
	} {
		look := looking(t, c.states)
		p := g.Plan(look)
		later := map[string]Waits{}
		for _, name := range g.Names() {
			if w := g.EndsAfter(name, look); len(w) > 0 {
				later[name] = w
			}
		}
		if len(later) != len(p.Later) {
			t.Errorf("%s: %v end later, after %v", c.states, p.Later, later)
		}
		if got := fmt.Sprint(p.Down); got != c.down {
			t.Errorf("%s: down %s, not %s", c.states, got, c.down)
		}
		if got := fmt.Sprint(later); got != c.later {
			t.Errorf("%s: later %s, not %s", c.states, got, c.later)
		}
	}
}

func TestRestartWith(t *testing.T) {
	g := New(shop)
	beside := func(state string, with map[string]uint64) Standing {
		s := standings[state]
		s.Beside = with
		return s
	}
	db := func(state string, instance uint64) Standing {
		s := standings[state]
		s.Instance = instance
		return s
	}
	for _, c := range []struct {
		name    string
		web, db Standing
		want    []string
	}{
		{"the same", beside("ready", map[string]uint64{"db": 1}), db("ready", 1), nil},
		{"another", beside("ready", map[string]uint64{"db": 1}), db("ready", 2), []string{"web"}},
		{"another that is not ready", beside("ready", map[string]uint64{"db": 1}), db("starting", 2), nil},
		{"another that is to end", beside("ready", map[string]uint64{"db": 1}), db("to-again", 2), nil},
		{"its numbers begin anew", beside("ready", map[string]uint64{"db": 7}), db("ready", 1), []string{"web"}},
		{"not known", beside("ready", nil), db("ready", 2), nil},
		{"starting", beside("starting", map[string]uint64{"db": 1}), db("ready", 2), []string{"web"}},
		{"ending", beside("crashed", map[string]uint64{"db": 1}), db("ready", 2), nil},
		{"to stop", beside("to-stop", map[string]uint64{"db": 1}), db("ready", 2), nil},
		{"down", beside("waiting", map[string]uint64{"db": 1}), db("ready", 2), nil},
	} {
		p := g.Plan(func(name string) Standing {
			return map[string]Standing{"web": c.web, "db": c.db, "cache": standings["ready"]}[name]
		})
		if !reflect.DeepEqual(p.Restart, c.want) {
			t.Errorf("%s: restart %v, not %v", c.name, p.Restart, c.want)
		}
	}
}

func TestRoots(t *testing.T) {
	g := New(shop)
	for _, c := range []struct{ of, states, want string }{
		{"web", "db ready, cache ready", ""},
		{"web", "db failed, cache ready", "db (failed)"},
		{"web", "db starting, cache waiting", "db (starting)"},
		// Who is merely after one that cannot come does not wait for it.
		{"proxy", "web waiting, db failed, cache ready", ""},
		{"proxy", "web waiting, db backoff, cache ready", "db (backoff)"},
		{"proxy", "web waiting, db backoff, cache starting", "db (backoff), cache (starting)"},
		{"web", "web to-stop, db failed", ""},
		{"nobody", "", ""},
	} {
		if got := g.Roots(c.of, looking(t, c.states)).String(); got != c.want {
			t.Errorf("%s, %s: roots %q, not %q", c.of, c.states, got, c.want)
		}
	}
}

func TestWaits(t *testing.T) {
	w := Waits{{"a", "starting"}, {"b", ""}}
	if w.String() != "a (starting), b" || !slices.Equal(w.Names(), []string{"a", "b"}) || !w.Equal(slices.Clone(w)) || w.Equal(w[:1]) {
		t.Errorf("%s, %v", w, w.Names())
	}
}
