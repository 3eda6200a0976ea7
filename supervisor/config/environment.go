package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Environment is what a service gets of base, vigil's own environment, with its
// own variables over it. What is meant for vigil alone (NOTIFY_SOCKET of an
// outer manager, VIGIL_*) never leaks.
func Environment(s Service, base []string) []string {
	var env []string
	if s.InheritEnvironment {
		for _, e := range wire.Scrub(base) {
			name, _, _ := strings.Cut(e, "=")
			if _, own := s.Environment[name]; !own {
				env = append(env, e)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		env = append(env, name+"="+s.Environment[name])
	}
	return env
}
