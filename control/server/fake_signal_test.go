package server

import (
	"context"

	"github.com/vigil-supervisor/vigil/control"
)

func (f *fake) Reopen(_ context.Context, r control.Reopen) (control.Reopened, error) {
	for _, n := range r.Services {
		if n != "web" {
			return control.Reopened{}, unknown(n)
		}
	}
	return control.Reopened{Services: []control.ReopenedService{{Service: "web"}}, Stale: []control.Stale{}}, nil
}

func (f *fake) Signal(_ context.Context, who control.Caller, a control.SignalAsk) ([]control.SignalResult, error) {
	if a.Signal == "NOPE" {
		return nil, control.ErrInvalid
	}
	return []control.SignalResult{{Service: a.Services[0], Signal: a.Signal, PID: who.PID, Error: who.String()}}, nil
}

func (f *fake) Snapshot(_ context.Context, _ control.Caller, a control.Snapshot) ([]control.SnapshotResult, error) {
	for _, n := range a.Services {
		if n != "web" {
			return nil, unknown(n)
		}
	}
	return []control.SnapshotResult{{Service: a.Services[0], Incident: "x"}}, nil
}
