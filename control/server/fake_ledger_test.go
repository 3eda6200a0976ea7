package server

import (
	"context"

	"github.com/vigil-supervisor/vigil/control"
)

func (f *fake) Reload(_ context.Context, who control.Caller) (control.Demanded, error) {
	return control.Demanded{Seq: uint64(who.PID)}, nil
}

func (f *fake) Signals(_ context.Context, q control.SignalsQuery) ([]control.SignalEntry, error) {
	if q.Since > 7 {
		return nil, nil
	}
	return []control.SignalEntry{{Seq: 7, Signal: "HUP", Count: 3}}, nil
}
