package main

import (
	"context"

	"github.com/vigil-supervisor/vigil/control"
)

func (f fake) Reopen(_ context.Context, r control.Reopen) (control.Reopened, error) {
	done := control.Reopened{Services: []control.ReopenedService{}, Stale: []control.Stale{}}
	for _, name := range r.Services {
		if _, err := f.find(name); err != nil {
			return done, err
		}
		one := control.ReopenedService{Service: name, Output: "/log/" + name + ".log"}
		if name == "stubborn" {
			one.Note = "USR1 was not sent: pid 9 ignores it"
			done.Stale = append(done.Stale, control.Stale{Service: name, Process: "stub\x1b", PID: 9, FD: 3, Path: "/log/own.log.1"})
		}
		done.Services = append(done.Services, one)
	}
	return done, nil
}

func (f fake) Signal(_ context.Context, _ control.Caller, a control.SignalAsk) (list []control.SignalResult, err error) {
	for _, name := range a.Services {
		s, err := f.find(name)
		if err != nil {
			return nil, err
		}
		r := control.SignalResult{Service: name, Signal: a.Signal, PID: s.PID}
		if s.PID == 0 {
			r.Absent, r.Error = true, "it is "+s.State+" and has no process"
		}
		list = append(list, r)
	}
	return list, nil
}

func (f fake) Snapshot(_ context.Context, _ control.Caller, a control.Snapshot) (list []control.SnapshotResult, err error) {
	for _, name := range a.Services {
		s, err := f.find(name)
		if err != nil {
			return nil, err
		}
		r := control.SnapshotResult{
			Service: name, PID: s.PID, Incident: "20261124T203152.123456Z-" + name + "-0001", Status: "complete", Rung: "twin", Pause: 0.0032,
			Sentence: "requested: a snapshot was asked for; the service runs on",
		}
		switch {
		case s.PID == 0:
			r = control.SnapshotResult{Service: name, Error: "it is " + s.State + ": only a service that runs can be looked at"}
		case name == "stubborn":
			r.Rung, r.Status, r.Missing = "copy", "partial", []string{"goroutines: 3 could not be read"}
			r.Refused = []control.Refusal{{Rung: "twin", Reason: "clone was refused"}}
		}
		list = append(list, r)
	}
	return list, nil
}
