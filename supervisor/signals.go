package supervisor

import (
	"fmt"
	"runtime"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
)

// maxDump bounds the stacks of our own goroutines in the log.
const maxDump = 1 << 20

// onSignal carries out what was asked of vigil by a signal to the keeper, and
// says what came of it. Until then the keeper asks again: us, or a successor.
func (s *Supervisor) onSignal(e protocol.Event) {
	name := signals.Name(sig(e.Number))
	switch e.Name {
	case signals.Stop:
		// The outcome is that vigil ends, which the keeper sees.
		s.stopAll("the keeper got " + name + " from " + e.Text + "; stopping all services")
	case signals.Dump:
		b := make([]byte, maxDump)
		s.log.Info("own goroutines", zap.ByteString("stacks", b[:runtime.Stack(b, true)]))
		s.outcome(e, "done: the stacks of the supervisor's goroutines are in vigil.log")
	case signals.Reopen:
		s.event("", "signal", name+" from "+e.Text+": opening all logs anew")
		s.reopen(nil, func(r control.Reopened) { s.outcome(e, describeReopened(r)) })
	case signals.Snapshot:
		s.snapshotOf(s.names, e)
	case signals.Capture:
		if v := s.sender(e); v != nil && !v.gimliAsks(e) {
			s.snapshotOf([]string{e.Key}, e)
		}
	case signals.Beat:
		if v := s.sender(e); v != nil && !v.gimliBeat() {
			v.beat(e.Boot)
		}
	default:
		if !s.forwardSignal(sig(e.Number)) {
			s.log.Debug("signal that nobody asks for", zap.String("signal", name), zap.String("from", e.Text))
		}
	}
}

// sender is the service that has sent a signal, nil when it was an instance of
// before. A keeper of a former version does not say which instance it was.
func (s *Supervisor) sender(e protocol.Event) *service {
	if v, ok := s.services[e.Key]; ok && (e.Inst == 0 || e.Inst == v.life.Instance) {
		return v
	}
	return nil
}

// outcome says what came of a demand.
func (s *Supervisor) outcome(e protocol.Event, text string) {
	if e.Demand != 0 {
		s.check(s.keeper.send(protocol.TOutcome, protocol.Outcome{Demand: e.Demand, Text: text}, nil, nil))
	}
}

func describeReopened(r control.Reopened) string {
	if r.Good() {
		return "done: all log files are open anew"
	}
	if r.Error != "" {
		return "failed: " + r.Error
	}
	return fmt.Sprintf("done in part: %d descriptors still point at rotated or deleted files", len(r.Stale))
}
