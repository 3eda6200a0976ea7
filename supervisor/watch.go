package supervisor

import (
	"slices"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// judge is one kind of sign of life of one instance. The loop owns it.
type judge interface {
	// Next is when Check has something to do; ok is false when never by time.
	Next() (at time.Duration, ok bool)
	// Check looks and judges.
	Check(now time.Duration) []watchdog.Verdict
	// Suspend stops judging, Resume begins anew with whole limits.
	Suspend()
	Resume(now time.Duration) []watchdog.Verdict
	// List is for `vigil status`.
	List(now time.Duration) []watchdog.Standing
}

// watch is all that tells whether an instance lives.
type watch struct {
	beats  watchdog.Signs // of sd_notify and by signals
	others []judge
	late   map[string]string // signs that are suspect at present, with the sentence
	full   bool              // it was said that there are too many
}

// extender is a judge that grants time to a service that asks for it.
type extender interface {
	Extend(now, d time.Duration) []watchdog.Verdict
}

// Extend grants time (EXTEND_TIMEOUT_USEC).
func (w *watch) Extend(now, d time.Duration) (all []watchdog.Verdict) {
	for _, j := range w.judges() {
		if e, ok := j.(extender); ok {
			all = append(all, e.Extend(now, d)...)
		}
	}
	return all
}

// idle forgets a named beat: the activity has nothing to do.
func (w *watch) idle(now time.Duration, name string) (watchdog.Verdict, bool) {
	s := w.beats.Get(name)
	if s == nil || name == heartbeatSign {
		return watchdog.Verdict{}, false
	}
	d, changed := s.Beat(now)
	w.beats.Remove(name)
	return d, changed
}

func (w *watch) judges() []judge { return append([]judge{&w.beats}, w.others...) }

// Next is the earliest time at which something is to be looked at.
func (w *watch) Next() (at time.Duration, ok bool) {
	at, ok = w.beats.Next()
	for _, j := range w.others {
		if t, has := j.Next(); has && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Check judges what is due.
func (w *watch) Check(now time.Duration) []watchdog.Verdict {
	all := w.beats.Check(now)
	for _, j := range w.others {
		if at, ok := j.Next(); ok && at <= now {
			all = append(all, j.Check(now)...)
		}
	}
	return all
}

// Suspend stops all judging.
func (w *watch) Suspend() {
	for _, j := range w.judges() {
		j.Suspend()
	}
}

// Resume judges again.
func (w *watch) Resume(now time.Duration) (all []watchdog.Verdict) {
	for _, j := range w.judges() {
		all = append(all, j.Resume(now)...)
	}
	return all
}

// List is every sign.
func (w *watch) List(now time.Duration) (all []watchdog.Standing) {
	for _, j := range w.judges() {
		all = append(all, j.List(now)...)
	}
	return all
}

// marker is a judge that can be asked each second, since it makes no texts.
type marker interface {
	Marks(now time.Duration, add func(watchdog.Standing))
}

// Marks tells add of every sign, as List does; some of them without their texts.
func (w *watch) Marks(now time.Duration, add func(watchdog.Standing)) {
	w.beats.Marks(now, add)
	for _, j := range w.others {
		if m, ok := j.(marker); ok {
			m.Marks(now, add)
			continue
		}
		for _, st := range j.List(now) {
			add(st)
		}
	}
}

func (w *watch) remove(j judge) {
	w.others = slices.DeleteFunc(w.others, func(o judge) bool { return o == j })
}
