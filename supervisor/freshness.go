package supervisor

import (
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// freshness expects a service to change a file again and again.
type freshness struct {
	*watchdog.File
	s *Supervisor
}

// armFile begins to expect it.
func (v *service) armFile() {
	path := v.cfg.Heartbeat.File
	if path == "" || v.file != nil || !v.isUp() {
		return
	}
	s := v.s
	if s.files == nil {
		s.files = watchdog.NewFileWatcher(func(l watchdog.FileLook) { s.post(func() { s.onFile(l) }) })
		if err := s.files.Failure(); err != nil {
			s.event("", "alert", err.Error())
		}
	}
	if err := s.files.Add(path); err != nil {
		s.event(v.cfg.Name, "alert", err.Error())
		return
	}
	v.file = &freshness{watchdog.NewFile(path, v.cfg.Heartbeat.Timeout, v.cfg.Heartbeat.Suspect, clock.Boot()), s}
	v.watch.others = append(v.watch.others, v.file)
}

func (v *service) endFile() {
	if v.file != nil {
		v.s.files.Remove(v.file.Path())
		v.file = nil
	}
}

// onFile takes a look at a file, perhaps of several services.
func (s *Supervisor) onFile(l watchdog.FileLook) {
	for _, name := range s.names {
		if v := s.services[name]; v.file != nil && v.file.Path() == l.Path {
			v.onVerdicts(v.file.Observe(l))
		}
	}
}

// Check has the file looked at, which is judged when it is there.
func (f *freshness) Check(now time.Duration) []watchdog.Verdict {
	if f.Ask(now) {
		f.s.files.Look(f.Path())
	}
	return nil
}

// List is for `vigil status`.
func (f *freshness) List(now time.Duration) []watchdog.Standing {
	return []watchdog.Standing{f.Standing(now)}
}
