package supervisor

import (
	"fmt"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// endOf takes the wait status apart.
func endOf(e *protocol.Exit) lifecycle.End {
	if e == nil || e.Unknown {
		return lifecycle.End{Code: -1}
	}
	ws := syscall.WaitStatus(e.Status)
	if ws.Signaled() {
		return lifecycle.End{Code: -1, Signal: int(ws.Signal()), Core: ws.CoreDump()}
	}
	return lifecycle.End{Code: ws.ExitStatus()}
}

// describeEnd words an end: "status 3", "signal SEGV (core dumped)".
func describeEnd(e lifecycle.End) string {
	switch {
	case e.Signal != 0 && e.Core:
		return "signal " + signals.Name(syscall.Signal(e.Signal)) + " (core dumped)"
	case e.Signal != 0:
		return "signal " + signals.Name(syscall.Signal(e.Signal))
	case e.Code < 0:
		return "an unknown status"
	}
	return fmt.Sprintf("status %d", e.Code)
}

// shellCode is the exit code that a shell would give: 128+n for a signal.
func shellCode(e lifecycle.End) int {
	if e.Signal != 0 {
		return exitSignalBase + e.Signal
	}
	return max(e.Code, 0)
}

func human(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
