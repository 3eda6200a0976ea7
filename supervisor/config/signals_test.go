package config

import (
	"slices"
	"syscall"
	"testing"
)

func TestSignalKeys(t *testing.T) {
	c := mustLoad(t, `
[service.web]
command = ["web"]
reload_signal = "HUP"
reopen_signal = "USR1"
forward = ["WINCH", "SIGCONT", "RTMIN+3"]
`)
	s, _ := c.Service("web")
	if s.ReloadSignal != syscall.SIGHUP || s.ReopenSignal != syscall.SIGUSR1 ||
		!slices.Equal(s.Forward, []syscall.Signal{syscall.SIGWINCH, syscall.SIGCONT, 37}) {
		t.Errorf("got %v %v %v", s.ReloadSignal, s.ReopenSignal, s.Forward)
	}
	// None of them is something that a process was started with.
	plain := s
	plain.ReloadSignal, plain.ReopenSignal, plain.Forward = 0, 0, nil
	if plain.Hash() != s.Hash() {
		t.Error("a signal makes another instance of the service")
	}
}

// What vigil acts on itself never reaches a service by being passed on.
func TestWhyNotForwarded(t *testing.T) {
	free := []syscall.Signal{syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPWR, syscall.SIGSTKFLT}
	for s := syscall.Signal(1); s < 32; s++ {
		if may := WhyNotForwarded(s) == ""; may != slices.Contains(free, s) {
			t.Errorf("%s: may be passed on: %v", SignalName(s), may)
		}
	}
}
