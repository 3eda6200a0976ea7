package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// The keeper is told of stops of its own children only (waitid(2), WSTOPPED): of
// a service that it has adopted nobody tells. So before a verdict the process
// itself is looked at, which costs nothing as long as all is well; and one that
// is stopped is looked at with every beat of ours, until it continues.

// held reports whether a process is stopped by a signal, proc(5).
func held(pid int) bool {
	if pid <= 0 {
		return false
	}
	p, err := proctree.Read(pid)
	return err == nil && p.Stopped
}

// lookHeld is asked when a sign is late: whether an operator holds the process.
func (v *service) lookHeld() bool {
	if v.stopped == 0 && held(v.started.PID) {
		v.onStopContinue(protocol.Event{Kind: protocol.EventStopped, Inst: v.life.Instance, Number: int(unix.SIGSTOP)})
	}
	return v.stopped != 0
}

// lookContinued finds those that continue without an event of it.
func (s *Supervisor) lookContinued() {
	for _, v := range s.services {
		if v.stopped != 0 && !held(v.started.PID) {
			v.onStopContinue(protocol.Event{Kind: protocol.EventContinued, Inst: v.life.Instance})
		}
		if v.gimli.page != nil && v.stopped == 0 && held(v.started.PID) && v.faulted() {
			v.gimliStopped(int(unix.SIGSTOP)) // by now it would have been told, if anybody told it
		}
	}
}
