package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// reloadPatience bounds the whole of vigil reload. One reload takes 35 s at
// most, and another may run before it.
const reloadPatience = 75 * time.Second

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Take up the configuration, and the vigil, that are on disk now",
		Long: "Start a supervisor from the program and the configuration that are on disk now, and\n" +
			"let it take over when it is ready. Services that were added are started, removed ones\n" +
			"stopped, changed ones restarted; all others keep running untouched. It returns when\n" +
			"that is done. A configuration with mistakes, or a program that does not work, changes\n" +
			"nothing: exit code 1, with the reason. HUP to the main process does the same.",
		Example: "  vigil reload",
		Args:    noArguments,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), reloadPatience)
			defer cancel()
			return a.reload(ctx)
		}),
	}
}

func (a *app) reload(ctx context.Context) error {
	var d control.Demanded
	err := a.patiently(ctx, func(ctx context.Context) error {
		one, err := a.one()
		if err == nil {
			d, err = one.Reload(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	e, err := a.awaitOutcome(ctx, d.Seq)
	if err != nil {
		return fmt.Errorf("cannot learn what came of the reload (vigil signals tells later): %w", err)
	}
	if !strings.HasPrefix(e.Outcome, "done") {
		return &exit{exitFailed, fmt.Errorf("reload %s", e.Outcome)}
	}
	_, err = fmt.Fprintf(a.out, "reload %s\n", harmlessCell(e.Outcome))
	return err
}

// awaitOutcome waits until the ledger knows what came of an entry, whoever is
// the supervisor by then.
func (a *app) awaitOutcome(ctx context.Context, seq uint64) (found control.SignalEntry, err error) {
	for found.Outcome == "" {
		err := a.patiently(ctx, func(ctx context.Context) error {
			one, err := a.one()
			if err != nil {
				return err
			}
			list, err := one.Signals(ctx, control.SignalsQuery{Since: seq - 1, Wait: true})
			if err == nil && (len(list) == 0 || list[0].Seq != seq) {
				return fmt.Errorf("entry %d of the ledger is gone", seq)
			}
			if err == nil {
				found = list[0]
			}
			return err
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}
