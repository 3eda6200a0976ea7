package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// logsFlags are the flags of `vigil logs`.
type logsFlags struct {
	follow, json, times bool
	lines               int
	since               string
}

func (a *app) logsCommand() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs [SERVICE]",
		Short: "Show the last output of a service",
		Long: "Show the last output of a service, as vigil keeps it in memory; the log file has\n" +
			"more: --since shows it, with its rotated and compressed predecessors, from a\n" +
			"moment on (to a second or 64 KiB of output; never less than was asked for).\n" +
			"SERVICE may be left out when there is only one. On a terminal, control\n" +
			"characters are shown as escapes.",
		Example: "  vigil logs -f web\n  vigil logs --since 10m web",
		Args:    atMostOne("service"),
		RunE: a.do(func(cmd *cobra.Command, services []string) error {
			if f.lines < 0 {
				return usagef("cannot show %d lines", f.lines)
			}
			if f.since != "" {
				return a.logsSince(cmd.Context(), services, f.since)
			}
			return a.logs(cmd.Context(), services, f)
		}),
	}
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "show also what comes, until the end of vigil")
	cmd.Flags().IntVarP(&f.lines, "lines", "n", 100, "how many lines of those that are kept")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one object a line")
	cmd.Flags().BoolVarP(&f.times, "timestamps", "t", false, "print time and stream in front of each line")
	cmd.Flags().StringVar(&f.since, "since", "", "show the log file from then on: a duration such as 10m, or a time of RFC 3339")
	// The file has neither the time nor the stream of a line.
	for _, other := range []string{"follow", "lines", "json", "timestamps"} {
		cmd.MarkFlagsMutuallyExclusive("since", other)
	}
	return cmd
}

func (a *app) logs(ctx context.Context, services []string, f logsFlags) error {
	lines := f.lines
	show := func(l control.Line) error {
		lines = allLines // should it be interrupted: what comes next has not been shown
		if f.json {
			return a.printLine(l)
		}
		text := l.Text
		if f.times {
			text = fmt.Sprintf("%s %-5s %s", stamp(l.Time), l.Stream, text)
		}
		_, err := fmt.Fprintln(a.out, a.clean(a.out, text))
		return err
	}
	stream := func(ctx context.Context) error {
		from, service, err := a.oneService(ctx, services)
		if err != nil {
			return err
		}
		services = []string{service}
		err = from.Logs(ctx, service, lines, f.follow, show)
		if err == nil || errors.Is(err, control.ErrShutdown) {
			lines = allLines
		}
		return err
	}
	if f.follow {
		return a.follow(ctx, stream)
	}
	return a.patiently(ctx, stream)
}

// allLines is more than a supervisor keeps. One that has taken over keeps those
// lines that the one before has not read.
const allLines = 100_000

// oneService finds the service that is named, or the only one.
func (a *app) oneService(ctx context.Context, services []string) (instance, string, error) {
	if len(services) > 0 {
		parts, err := a.shares(ctx, services)
		if err != nil {
			return instance{}, "", err
		}
		return parts[0].instance, services[0], nil
	}
	one, err := a.one()
	if err != nil {
		return instance{}, "", err
	}
	list, err := one.Services(ctx, nil)
	if err != nil {
		return instance{}, "", err
	}
	if len(list) != 1 {
		return instance{}, "", usagef("there are %d services; name one", len(list))
	}
	return one, list[0].Service, nil
}
