package native

import (
	"syscall"
	"time"
)

// Bounds of the wait for a target that a tool has let go of.
const (
	releaseLimit = time.Second
	releaseStep  = 2 * time.Millisecond
)

// release makes sure that no thread stands still because of a tool, and that one
// that stood still before does so again. A tool's SIGSTOP may still be pending
// when the tool is dead, so this ends only when there is none. /proc has no event
// for that: it is asked again, for a second at most.
func (t *target) release() []string {
	var notes []string
	resumed := false
	deadline := time.Now().Add(releaseLimit)
	for {
		stopped, pending, traced := t.stops()
		switch {
		case t.stopped && !stopped && !pending && !traced:
			// eu-stack and gdb try to leave it as it was, and mostly do.
			if t.fd.Signal(syscall.SIGSTOP) == nil {
				notes = append(notes, "the process had been stopped by a signal before, went on after the reading, and was stopped again")
			}
			return notes
		case !traced && (t.stopped || !stopped && !pending):
			return notes
		case !traced && !resumed:
			// SIGCONT also takes back a SIGSTOP that is pending (signal(7)).
			if t.fd.Signal(syscall.SIGCONT) == nil {
				notes = append(notes, "a tool that was left behind had stopped the process; it goes on again (SIGCONT)")
			}
			resumed = true
		}
		if time.Now().After(deadline) {
			return append(notes, "a thread of the process still stood still a second after the reading")
		}
		time.Sleep(releaseStep)
	}
}

// stops says whether a thread is stopped, will be, or is traced.
func (t *target) stops() (stopped, pending, traced bool) {
	tids, err := listTasks(t.pid)
	if err != nil {
		return false, false, false // it is gone
	}
	for _, tid := range tids {
		k, err := readTask(t.pid, tid)
		if err != nil {
			continue
		}
		stopped = stopped || k.state == 'T'
		pending = pending || k.stop
		traced = traced || k.state == 't' || k.tracer != 0
	}
	return stopped, pending, traced
}
