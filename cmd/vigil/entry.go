package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/keeper"
	"github.com/vigil-supervisor/vigil/supervisor"
)

// runKeeper keeps services in the foreground until they are done. argv are the
// arguments of the supervisor.
func runKeeper(p place.Place, argv []string, silence time.Duration) (code int, err error) {
	code, err = keeper.Run(keeper.Options{
		Name: p.Name, RuntimeDir: p.Runtime, StateDir: p.State, Supervisor: argv, Version: version,
		CaptureHelper: capturePath(), BeatTimeout: silence,
	})
	if running, ok := errors.AsType[*keeper.Running](err); ok {
		return 0, &exit{exitRunning, running}
	}
	if err != nil {
		return 0, system(fmt.Errorf("cannot keep %q: %w", p.Name, err))
	}
	return code, nil
}

// runSupervisor is the supervisor, until it is done or replaced. What it ends
// with does not matter once it is in charge: the keeper was told the status.
func runSupervisor(d duty) (code int, err error) {
	return supervisor.Run(supervisor.Options{
		Name: d.place.Name, RuntimeDir: d.place.Runtime, StateDir: d.place.State, Version: version,
		Load: d.load, Run: d.run, Echo: d.echo, Socket: d.socket, CaptureHelper: d.capture,
	})
}
