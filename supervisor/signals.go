package supervisor

import (
	"runtime"
	"syscall"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/signals"
)

// maxDump bounds the stacks of our own goroutines in the log.
const maxDump = 1 << 20

// onSignal takes a signal that the keeper received.
func (s *Supervisor) onSignal(number int) {
	switch sig(number) {
	case syscall.SIGTERM, syscall.SIGINT:
		s.stopAll("the keeper got " + signals.Name(sig(number)) + "; stopping all services")
	case syscall.SIGQUIT:
		b := make([]byte, maxDump)
		s.log.Info("own goroutines", zap.ByteString("stacks", b[:runtime.Stack(b, true)]))
	case syscall.SIGUSR1:
		s.reopenAll()
	default:
		if !s.forwardSignal(sig(number)) {
			s.event("", "signal", signals.Name(sig(number))+" means nothing to vigil yet: services are not touched")
		}
	}
}
