package config

import "time"

// settle fills in what depends on other keys, and finds contradictions. Nothing
// is said about keys that were refused.
func (s *Service) settle(d *decoder) {
	switch {
	case !s.seen.sound("command"):
	case s.Command == nil:
		d.fail(s.seen.place("command"), "service %q has no command", s.Name)
	case len(s.Command) == 0 || s.Command[0] == "":
		d.fail(s.seen.place("command"), "the command of service %q is empty", s.Name)
	}
	s.settleReady(d)
	s.settleHeartbeat(d)
	s.settleSignals(d)
	s.settleFile(d)
	s.settleOutputs(d)
	s.settleProbes(d)
	s.settleThreads(d)
	if s.Restart.Min > s.Restart.Max && s.seen.sound("restart.backoff.min", "restart.backoff.max") {
		d.fail(s.seen.place("restart.backoff.min"), "min (%s) must not be longer than max (%s)", short(s.Restart.Min), short(s.Restart.Max))
	}
}

func (s *Service) settleReady(d *decoder) {
	ways := 0
	for _, set := range []bool{s.Ready.Notify, s.Ready.FD != 0, s.Ready.After != 0, s.Ready.Probe != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		d.fail(s.seen.place("ready"), "a service is ready in one way: notify, after, fd or probe")
	}
}

// The limits of libgimli's own monitor.
const (
	gimliStart = 200 * time.Second
	gimliRun   = 60 * time.Second
	gimliStop  = 60 * time.Second
)

// settleGimli gives a program that was written for libgimli's monitor the limits
// that it had there, as far as nothing else is said.
func (s *Service) settleGimli() {
	if !s.Heartbeat.Gimli {
		return
	}
	for key, limit := range map[string]struct {
		of  *time.Duration
		std time.Duration
	}{
		"start_timeout": {&s.StartTimeout, gimliStart}, "heartbeat.timeout": {&s.Heartbeat.Timeout, gimliRun}, "stop_timeout": {&s.StopTimeout, gimliStop},
	} {
		if !s.seen.has(key) {
			*limit.of = limit.std
		}
	}
}

func (s *Service) settleHeartbeat(d *decoder) {
	s.settleGimli()
	h := &s.Heartbeat
	switch {
	case !s.seen.sound("heartbeat.timeout", "heartbeat.suspect"):
	case h.Timeout == 0 && h.Suspect != 0:
		d.fail(s.seen.place("heartbeat.suspect"), "suspect needs a timeout")
	case h.Suspect == 0:
		h.Suspect = h.Timeout * 6 / 10
	case h.Suspect >= h.Timeout:
		d.fail(s.seen.place("heartbeat.suspect"), "suspect (%s) must be shorter than timeout (%s)", short(h.Suspect), short(h.Timeout))
	}
}
