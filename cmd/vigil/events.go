package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow, json bool
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Show what happened, oldest first",
		Long:    "Show what happened, oldest first: as much as vigil keeps in memory.",
		Example: "  vigil events --follow --json",
		Args:    noArguments,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			return a.events(cmd.Context(), follow, json)
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show also what comes, until the end of vigil")
	cmd.Flags().BoolVar(&json, "json", false, "print one object a line")
	return cmd
}

func (a *app) events(ctx context.Context, follow, json bool) error {
	var last control.Event
	show := func(e control.Event) error {
		// A supervisor that was killed has taken the number along.
		if e.Seq <= last.Seq && !e.Time.After(last.Time) {
			return nil
		}
		last = e
		if json {
			return a.printLine(e)
		}
		service := e.Service
		if service == "" {
			service = "-"
		}
		_, err := fmt.Fprintf(a.out, "%s  %-12s %-10s %s\n", stamp(e.Time), harmlessCell(service), harmlessCell(e.Kind), harmlessCell(e.Text))
		return err
	}
	stream := func(ctx context.Context) error {
		from, err := a.one()
		if err != nil {
			return err
		}
		return from.Events(ctx, follow, show)
	}
	if follow {
		return a.follow(ctx, stream)
	}
	return a.patiently(ctx, stream)
}
