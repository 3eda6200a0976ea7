package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/server"
	"github.com/vigil-supervisor/vigil/internal/place"
)

// fake is a supervisor that only talks.
type fake struct {
	name     string
	services []control.Service
}

func (f fake) Instance() control.Instance {
	return control.Instance{Name: f.name, KeeperPID: os.Getpid(), Limits: []string{"no cgroup: read-only file system"}}
}

func (f fake) Services(names []string) ([]control.Service, error) {
	if len(names) == 0 {
		return f.services, nil
	}
	var some []control.Service
	for _, name := range names {
		s, err := f.find(name)
		if err != nil {
			return nil, err
		}
		some = append(some, s)
	}
	return some, nil
}

func (f fake) find(name string) (control.Service, error) {
	i := slices.IndexFunc(f.services, func(s control.Service) bool { return s.Service == name })
	if i < 0 {
		return control.Service{}, fmt.Errorf("no service %q: %w", name, control.ErrNotFound)
	}
	return f.services[i], nil
}

func (f fake) Ask(_ context.Context, a control.Ask) (results []control.Result, err error) {
	for _, name := range a.Services {
		if _, err := f.find(name); err != nil {
			return nil, err
		}
		r := control.Result{Service: name, State: f.name + "-" + string(a.Verb), Done: a.Wait}
		if name == "stubborn" {
			r.Error = "it will not"
		}
		results = append(results, r)
	}
	return results, nil
}

func (f fake) Logs(ctx context.Context, service string, lines int, follow bool, emit func(control.Line) error) error {
	if _, err := f.find(service); err != nil {
		return err
	}
	at := time.Date(2026, 11, 24, 20, 31, 52, 0, time.UTC)
	all := []control.Line{
		{Time: at, Instance: 1, Stream: "out", Text: "one"},
		{Time: at, Instance: 1, Stream: "err", Text: "two\x1b[2J<&>"},
	}
	for _, l := range all[max(0, len(all)-lines):] {
		if err := emit(l); err != nil {
			return err
		}
	}
	if follow {
		<-ctx.Done()
	}
	return nil
}

func (f fake) Events(ctx context.Context, follow bool, emit func(control.Event) error) error {
	at := time.Date(2026, 11, 24, 20, 31, 52, 0, time.UTC)
	err := emit(control.Event{Seq: 7, Time: at, Service: "web", Kind: "state", Text: "running\nwell"})
	if err == nil && follow {
		<-ctx.Done()
	}
	return err
}

// playFake is a vigil whose supervisor only talks, in the runtime directory of
// the environment, until TERM.
func playFake() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM)
	p, err := place.Resolve(place.Ours())
	must(err)
	must(p.Create())
	path, err := p.Socket(control.SocketName)
	must(err)
	ln, err := server.Listen(path)
	must(err)
	code := 7
	s := server.Serve(ln, fake{"default", []control.Service{
		{
			Service: "web", State: "running", PID: 4711, Instance: 3, Restarts: 2, Ready: true, Cause: "hang", Desired: "up",
			Uptime: 192, Sentence: "no sign of life for 12 s", Status: "serving 3 guests", Command: []string{"web", "<&>"},
			Heartbeat:  &control.Heartbeat{Age: 0.4, Limit: 10, Suspect: 6, State: "ok"},
			Limitation: []string{"no memory limit"},
		},
		{Service: "stubborn", State: "backoff", NextStart: 3, Cause: "exit", ExitCode: &code, Desired: "up"},
	}})
	<-terminate
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(s.Shutdown(ctx))
}
