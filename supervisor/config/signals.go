package config

import (
	"slices"
	"syscall"

	"github.com/pelletier/go-toml/v2/unstable"
)

// asksRow takes a signal that asks a running service for something.
func asksRow(name, doc string, field func(*target) *syscall.Signal) row {
	return leaf(row{name: name, takes: takesSignal, unset: "none is sent", doc: doc}, field,
		func(d *decoder, _ row, n *node) syscall.Signal {
			v := d.signal(n)
			if v == syscall.SIGKILL || v == syscall.SIGSTOP {
				d.fail(n.at, "no program can handle %s (signal(7))", SignalName(v))
			}
			return v
		})
}

func forwardRow() row {
	return leaf(row{name: "forward", takes: takesSignals, unset: "none is passed on",
		doc: "Signals of vigil's main process that are passed on: WINCH, CONT, ALRM, VTALRM, IO, PWR, STKFLT and RTMIN to RTMIN+30. Those that vigil acts on itself are refused."},
		func(t *target) *[]syscall.Signal { return &t.service.Forward },
		func(d *decoder, _ row, n *node) []syscall.Signal { return d.forwarded(n) })
}

func (d *decoder) forwarded(n *node) []syscall.Signal {
	if !d.want(n, "an array of signals", unstable.Array) {
		return nil
	}
	var list []syscall.Signal
	for _, name := range n.items {
		v := d.signal(name)
		switch why := WhyNotForwarded(v); {
		case v == 0:
		case why != "":
			d.fail(name.at, "%s is not passed on: %s", SignalName(v), why)
		case slices.Contains(list, v):
			d.fail(name.at, "%s is named twice", SignalName(v))
		default:
			list = append(list, v)
		}
	}
	return list
}

// WhyNotForwarded says why a signal is not passed on to services, "" when it
// may be.
func WhyNotForwarded(s syscall.Signal) string {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT:
		return "it ends vigil and all services, each by its stop_signal"
	case syscall.SIGHUP:
		return "it reloads vigil; a service gets its reload_signal"
	case syscall.SIGUSR1:
		return "it makes vigil open its logs anew; a service gets its reopen_signal"
	case syscall.SIGUSR2:
		return "it asks vigil for a snapshot"
	case syscall.SIGQUIT:
		return "it makes vigil write its own stacks to its log"
	case syscall.SIGKILL, syscall.SIGSTOP:
		return "no program can handle it (signal(7))"
	case syscall.SIGCHLD:
		return "it tells vigil of the ends of its children"
	case syscall.SIGPIPE:
		return "it tells of a pipe of vigil's own"
	case syscall.SIGURG, syscall.SIGPROF:
		return "the Go runtime of vigil sends it to itself"
	case syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
		return "it stops jobs of a terminal, and vigil does not stop"
	case syscall.SIGXCPU, syscall.SIGXFSZ:
		return "it tells of a resource limit of vigil's own"
	case syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSYS:
		return "it tells of a fault in vigil itself"
	}
	return ""
}

// Nearest returns the known name that a misspelt one is likely to mean, or ""
// when none is near.
func Nearest(name string, known []string) string { return nearest(name, known) }

func (s *Service) settleSignals(d *decoder) {
	for _, one := range []struct {
		key string
		sig syscall.Signal
	}{{"reload_signal", s.ReloadSignal}, {"reopen_signal", s.ReopenSignal}} {
		if one.sig != 0 && one.sig == s.StopSignal && s.seen.sound(one.key, "stop_signal") {
			d.fail(s.seen.place(one.key), "%s %s would stop it: that is its stop_signal", one.key, SignalName(one.sig))
		}
	}
}
