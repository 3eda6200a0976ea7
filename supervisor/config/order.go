package config

import (
	"slices"
	"strings"
)

// orderRows name other services.
func orderRows() []row {
	return []row{
		listRow("after", "none", "Services that come first: while one of them is on its way up this one waits, and it is stopped before they are. It does not wait for one that is not wanted or has failed.",
			func(t *target) *[]string { return &t.service.After }),
		listRow("requires", "none", "As after, and this one is started only while they are ready. To start it starts them, to stop one of them stops it first; when one ends by itself it runs on.",
			func(t *target) *[]string { return &t.service.Requires }),
		listRow("restart_with", "none", "As after, and whenever one of them has been started again, for whatever reason, this one is restarted once that one is ready.",
			func(t *target) *[]string { return &t.service.RestartWith }),
	}
}

// checkOrder finds names in after and the like that no service has, and circles
// of services that wait for each other. Services that have mistakes of their
// own count as defined.
func checkOrder(d *decoder, services []Service, defined map[string]place) {
	byName := map[string]*Service{}
	var names []string
	for i := range services {
		byName[services[i].Name] = &services[i]
	}
	for name := range defined {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range services {
		s := &services[i]
		for _, list := range []struct {
			key   string
			names []string
		}{{"after", s.After}, {"requires", s.Requires}, {"restart_with", s.RestartWith}} {
			for _, name := range list.names {
				if _, ok := defined[name]; !ok {
					d.fail(s.seen.place(list.key), "service %q, which %q names in %s, does not exist%s", name, s.Name, list.key, suggest(name, names))
				}
			}
		}
	}
	w := walk{d: d, services: byName, state: map[string]int{}}
	for i := range services {
		w.visit(services[i].Name)
	}
}

// walk goes along the edges of after, requires and restart_with.
type walk struct {
	d        *decoder
	services map[string]*Service
	state    map[string]int // 0 not seen, 1 on the path, 2 done
	path     []string
}

func (w *walk) visit(name string) {
	s := w.services[name]
	if s == nil || w.state[name] == 2 {
		return
	}
	if w.state[name] == 1 {
		circle := append(slices.Clone(w.path[slices.Index(w.path, name):]), name)
		before := w.services[circle[len(circle)-2]]
		key := "after"
		switch {
		case slices.Contains(before.After, name):
		case slices.Contains(before.Requires, name):
			key = "requires"
		default:
			key = "restart_with"
		}
		w.d.fail(before.seen.place(key), "services wait for each other: %s", strings.Join(circle, " -> "))
		return
	}
	w.state[name], w.path = 1, append(w.path, name)
	for _, next := range slices.Concat(s.After, s.Requires, s.RestartWith) {
		w.visit(next)
	}
	w.state[name], w.path = 2, w.path[:len(w.path)-1]
}
