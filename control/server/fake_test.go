package server

import (
	"context"
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// fake is a backend with one service, "web".
type fake struct {
	asked   chan control.Ask // gets every order
	release chan struct{}    // when not nil, an order waits for it
	lines   []control.Line
	more    chan control.Line // what a follower sees
	ended   chan error        // gets what Logs returned because of its context or emit
	logsErr error             // after the kept lines
}

func (f *fake) Instance() control.Instance { return control.Instance{Name: "default", KeeperPID: 7} }

func (f *fake) Services(names []string) ([]control.Service, error) {
	for _, n := range names {
		if n != "web" {
			return nil, unknown(n)
		}
	}
	return []control.Service{{Service: "web", State: "running", PID: 9}}, nil
}

func unknown(name string) error { return fmt.Errorf("service %q: %w", name, control.ErrNotFound) }

func (f *fake) Ask(ctx context.Context, a control.Ask) ([]control.Result, error) {
	if f.asked != nil {
		f.asked <- a
	}
	if f.release != nil {
		select {
		case <-f.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if a.Services[0] == "busy" {
		return nil, fmt.Errorf("busy: %w", control.ErrConflict)
	}
	return []control.Result{{Service: a.Services[0], State: "running", Done: true}}, nil
}

func (f *fake) Logs(ctx context.Context, service string, lines int, follow bool, emit func(control.Line) error) error {
	if service != "web" {
		return unknown(service)
	}
	for _, l := range f.lines[max(0, len(f.lines)-lines):] {
		if err := emit(l); err != nil {
			return f.end(err)
		}
	}
	if f.logsErr != nil {
		return f.logsErr
	}
	for follow {
		select {
		case l := <-f.more:
			if err := emit(l); err != nil {
				return f.end(err)
			}
		case <-ctx.Done():
			return f.end(ctx.Err())
		}
	}
	return nil
}

func (f *fake) end(err error) error {
	if f.ended != nil {
		f.ended <- err
	}
	return err
}

func (f *fake) Events(_ context.Context, _ bool, emit func(control.Event) error) error {
	return emit(control.Event{Seq: 1, Time: time.Unix(1, 0).UTC(), Kind: "state", Text: "running"})
}
