package supervisor

import (
	"context"
	"errors"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/signals/ledger"
)

// senderOf is a client of ours as the ledger has it.
func senderOf(c control.Caller) signals.Sender {
	return signals.Sender{PID: c.PID, UID: c.UID, Command: c.Command, Parent: c.Parent, ParentCommand: c.ParentCommand}
}

// Reload asks the keeper for a candidate. What comes of it is found in the
// ledger, under the number: we may not be there any more to tell.
func (b backend) Reload(ctx context.Context, who control.Caller) (control.Demanded, error) {
	m, err := b.request(ctx, protocol.TReload, protocol.Reload{From: senderOf(who)})
	if err != nil {
		return control.Demanded{}, err
	}
	r, err := replyError(m)
	return control.Demanded{Seq: r.Demand}, err
}

// Signals lists entries of the ledger. With q.Wait it returns when the entry
// after q.Since has an outcome, or when there is nothing to wait for.
func (b backend) Signals(ctx context.Context, q control.SignalsQuery) ([]control.SignalEntry, error) {
	for {
		over, err := b.reloads()
		if err != nil {
			return nil, err
		}
		m, err := b.request(ctx, protocol.TLedger, protocol.LedgerQuery{Since: q.Since, Limit: q.Limit})
		if err != nil {
			return nil, err
		}
		var e protocol.Entries
		if err := m.Into(&e); err != nil {
			return nil, err
		}
		if !q.Wait || len(e.Entries) == 0 || e.Entries[0].Outcome != "" {
			return signalEntries(e.Entries), nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.s.ctx.Done():
			return nil, control.ErrShutdown
		}
	}
}

func signalEntries(list []ledger.Entry) []control.SignalEntry {
	out := make([]control.SignalEntry, 0, len(list))
	for _, e := range list {
		out = append(out, control.SignalEntry(e))
	}
	return out
}

// reloads returns a channel that is closed when a reload is over.
func (b backend) reloads() (over <-chan struct{}, err error) {
	err = b.call(func() { over = b.s.reloadOver })
	return over, err
}

// keeperPatience bounds the wait for an answer of the keeper, which is always
// at once.
const keeperPatience = 10 * time.Second

var errKeeperSilent = errors.New("cannot get an answer of the keeper")

// request asks the keeper from outside of the loop.
func (b backend) request(ctx context.Context, t protocol.Type, body any) (protocol.Message, error) {
	answer := make(chan protocol.Message, 1)
	err := b.call(func() {
		b.s.check(b.s.keeper.send(t, body, nil, func(m protocol.Message) { answer <- m }))
	})
	if err != nil {
		return protocol.Message{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, keeperPatience, errKeeperSilent)
	defer cancel()
	select {
	case m := <-answer:
		return m, nil
	case <-ctx.Done():
		return protocol.Message{}, context.Cause(ctx)
	case <-b.s.ctx.Done():
		return protocol.Message{}, control.ErrShutdown
	}
}
