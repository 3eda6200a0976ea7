package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

func (a *app) signalCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "signal SIGNAL SERVICE...",
		Short: "Send a signal to the main process of services",
		Long: "Send a signal to the main process of services, and record who sent it. SIGNAL is a\n" +
			"name, with or without SIG. A service that a signal ends is started again by its\n" +
			"policy; to end one, use vigil stop. Exit code 3: nothing runs, no such service, or\n" +
			"it has no process.",
		Example: "  vigil signal USR1 web",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("name a signal and a service")
			}
			_, err := parseSignal(args[0])
			return err
		},
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			sig, err := parseSignal(args[0])
			if err != nil {
				return err
			}
			return a.signal(cmd.Context(), sig, args[1:])
		}),
	}
}

func parseSignal(text string) (syscall.Signal, error) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil && n >= 1 && n <= 64 {
		return 0, usagef("name the signal: on this machine %d is %s, on others it may be another", n, config.SignalName(syscall.Signal(n)))
	}
	sig, err := config.ParseSignal(strings.ToUpper(text))
	if err != nil {
		return 0, &exit{exitUsage, err}
	}
	return sig, nil
}

func (a *app) signal(ctx context.Context, sig syscall.Signal, services []string) error {
	parts, err := a.shares(ctx, services)
	if err != nil {
		return err
	}
	code := exitDone
	for _, p := range parts {
		results, err := p.Signal(ctx, control.SignalAsk{Signal: config.SignalName(sig), Services: p.services})
		if err != nil {
			return fmt.Errorf("cannot signal %s: %w", strings.Join(p.services, ", "), err)
		}
		for _, r := range results {
			switch {
			case r.Absent:
				a.note("cannot signal %s: %s", r.Service, r.Error)
				code = max(code, exitNothing)
			case r.Error != "":
				a.note("cannot signal %s: %s", r.Service, r.Error)
				code = max(code, exitFailed)
			default:
				a.warnOf(sig, r)
			}
		}
	}
	if code != exitDone {
		return &exit{code: code}
	}
	return nil
}

// warnOf says what no program can do anything about.
func (a *app) warnOf(sig syscall.Signal, r control.SignalResult) {
	switch sig {
	case syscall.SIGKILL:
		a.note("%s (pid %d) is killed; it is started again by its policy", r.Service, r.PID)
	case syscall.SIGSTOP:
		a.note("%s (pid %d) stands still until it gets CONT; its beats are not judged meanwhile", r.Service, r.PID)
	}
}
