package main

import (
	"errors"

	"github.com/vigil-supervisor/vigil/internal/place"
)

// linked reports whether this binary can start services.
const linked = false

var errNotLinked = errors.New("cannot start services: this build has no keeper")

// runKeeper keeps services in the foreground until they are done. argv are the
// arguments of the supervisor.
func runKeeper(place.Place, []string) (code int, err error) { return 0, system(errNotLinked) }

// runSupervisor is the supervisor, until it is done or replaced.
func runSupervisor(duty) (code int, err error) { return 0, errNotLinked }
