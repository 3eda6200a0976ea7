package lifecycle

import (
	"syscall"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// causeOf finds the word for an end that nobody asked for.
func causeOf(ev Event) snapshot.Cause {
	if ev.Cause != snapshot.CauseNone {
		return ev.Cause
	}
	switch syscall.Signal(ev.Exit.Signal) {
	case 0:
		return snapshot.CauseExit
	case syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGSYS, syscall.SIGTRAP, syscall.SIGQUIT:
		return snapshot.CauseCrash
	}
	return snapshot.CauseKilled
}
