package config

import (
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name     string
		services []Service
		want     []string
	}{
		{"good", []Service{{Name: "a", After: []string{"b"}, Requires: []string{"b", "c"}}, {Name: "b", After: []string{"c"}}, {Name: "c"}}, nil},
		{"self", []Service{{Name: "a", After: []string{"a"}}}, []string{"services wait for each other: a -> a"}},
		{"circle", []Service{{Name: "a", After: []string{"b"}}, {Name: "b", Requires: []string{"c"}}, {Name: "c", After: []string{"a"}}},
			[]string{"services wait for each other: a -> b -> c -> a"}},
		{"circle behind", []Service{{Name: "a", After: []string{"b"}}, {Name: "b", Requires: []string{"c"}}, {Name: "c", Requires: []string{"b"}}},
			[]string{"services wait for each other: b -> c -> b"}},
		{"circle of restarts", []Service{{Name: "a", RestartWith: []string{"b"}}, {Name: "b", Requires: []string{"a"}}}, []string{"services wait for each other: a -> b -> a"}},
		{"none", []Service{{Name: "web", After: []string{"bd"}, Requires: []string{"zzzzz"}, RestartWith: []string{"dbb"}}, {Name: "db"}},
			[]string{`service "bd", which "web" names in after, does not exist; did you mean "db"?`, `service "zzzzz", which "web" names in requires, does not exist`, `service "dbb", which "web" names in restart_with, does not exist; did you mean "db"?`}},
	} {
		defined := map[string]place{}
		for _, s := range c.services {
			defined[s.Name] = place{}
		}
		var d decoder
		checkOrder(&d, c.services, defined)
		var got []string
		for _, e := range d.errs {
			got = append(got, e.Message)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}
