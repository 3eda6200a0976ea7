package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// reopenPatience bounds the whole of vigil reopen: logrotate waits for it.
const reopenPatience = 10 * time.Second

// reopened is the report of one instance.
type reopened struct {
	Instance string `json:"instance"`
	control.Reopened
}

func (a *app) reopenCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "reopen [SERVICE...]",
		Short: "Open log files anew, after logrotate has moved them",
		Long: "Open vigil's own log and the output files of services anew, and have services with a\n" +
			"reopen_signal do the same with theirs. It returns when that is done, so it is what\n" +
			"postrotate in a logrotate stanza needs: what is compressed next is written to by\n" +
			"nobody. Descriptors that still point at rotated or deleted files are named, with\n" +
			"exit code 1. It takes 10 s at most, says nothing when all is well, and may be run any\n" +
			"number of times at once. Exit code 3: nothing runs, or no such service.",
		Example: "  vigil reopen\n  vigil reopen web",
		RunE: a.do(func(cmd *cobra.Command, services []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), reopenPatience)
			defer cancel()
			return a.reopen(ctx, services, json)
		}),
	}
	cmd.Flags().BoolVar(&json, "json", false, "print a list of objects, one for each instance")
	return cmd
}

func (a *app) reopen(ctx context.Context, services []string, json bool) error {
	reports := []reopened{}
	err := a.patiently(ctx, func(ctx context.Context) (err error) {
		reports, err = a.askReopen(ctx, services)
		return err
	})
	if ctx.Err() != nil && err != nil {
		return &exit{exitFailed, fmt.Errorf("cannot open the logs anew within %s: %w", reopenPatience, err)}
	}
	if err != nil {
		return err
	}
	good := true
	for _, r := range reports {
		good = good && r.Good()
		if !json {
			a.tellReopened(r)
		}
	}
	if json {
		if err := a.printJSON(reports); err != nil {
			return err
		}
	}
	if !good {
		return &exit{code: exitFailed}
	}
	return nil
}

func (a *app) askReopen(ctx context.Context, services []string) ([]reopened, error) {
	var parts []share
	if len(services) > 0 {
		var err error
		if parts, err = a.shares(ctx, services); err != nil {
			return nil, err
		}
	} else {
		all, err := a.instances()
		if err != nil {
			return nil, err
		}
		for _, one := range chosen(all) {
			parts = append(parts, share{instance: one})
		}
	}
	reports := []reopened{}
	for _, p := range parts {
		r, err := p.Reopen(ctx, control.Reopen{Services: p.services})
		if err != nil {
			return nil, err
		}
		reports = append(reports, reopened{p.name, r})
	}
	return reports, nil
}

// tellReopened writes what did not work, and nothing else: cron mails whatever a
// rotation says.
func (a *app) tellReopened(r reopened) {
	if r.Error != "" {
		a.note("cannot open vigil's own log anew: %s", r.Error)
	}
	stale := map[string]bool{}
	for _, s := range r.Stale {
		stale[s.Service] = true
		who, what := s.Service, "rotated"
		if who == "" {
			who = "vigil itself"
		}
		if s.Deleted {
			what = "deleted"
		}
		a.note("%s: pid %d (%s) still writes to %s (%s) on descriptor %d", who, s.PID, s.Process, s.Path, what, s.FD)
	}
	for _, s := range r.Services {
		switch {
		case s.Error != "":
			a.note("%s: cannot open its output file anew: %s", s.Service, s.Error)
		case s.Note != "" && stale[s.Service]:
			a.note("%s: %s", s.Service, strings.TrimSuffix(s.Note, "."))
		}
	}
}
