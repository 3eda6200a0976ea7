package main

import (
	"context"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/signals/ledger"
)

func (f fake) Reload(context.Context, control.Caller) (control.Demanded, error) {
	return control.Demanded{Seq: 2}, nil
}

func (f fake) Signals(_ context.Context, q control.SignalsQuery) (list []control.SignalEntry, err error) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, e := range []ledger.Entry{
		{Seq: 1, Time: at, Last: at, Signal: "HUP", Demand: signals.Reload, Count: 7, Outcome: "done in 20ms",
			Sender:  signals.Sender{PID: 12, UID: 3, Command: "logro\x1btate", Parent: 11, ParentCommand: "cron"},
			Senders: []ledger.Further{{Sender: signals.Sender{PID: 13, Command: "kill"}, Count: 2}}},
		{Seq: 2, Time: at, Last: at, Demand: signals.Reload, Count: 1, Outcome: "refused: it is broken", Sender: signals.Sender{PID: 14, UID: -1, Forged: true}},
	} {
		if e.Seq > q.Since {
			list = append(list, control.SignalEntry(e))
		}
	}
	return list, nil
}
