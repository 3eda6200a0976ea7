package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// snapshotFlags are the flags of `vigil snapshot`.
type snapshotFlags struct {
	pid      int
	twice    bool
	detach   bool
	json     bool
	keepCore bool
	budget   time.Duration
}

// betweenTwo is the time between the two captures of --twice: what has not moved
// in it, stands.
const betweenTwo = time.Second

func (a *app) snapshotCommand() *cobra.Command {
	var f snapshotFlags
	cmd := &cobra.Command{
		Use:   "snapshot SERVICE... | --pid N",
		Short: "Take the stacks of a process that runs on",
		Long: "Take the stacks of services, or of any process by --pid, which run on: they stand still\n" +
			"for some milliseconds at best. The snapshot is an incident of cause \"requested\", see\n" +
			"vigil incidents show. What could not be taken, and which way of taking it was used,\n" +
			"is said; vigil doctor tells which ways work here. With --pid no vigil needs to run.\n" +
			"Exit code 1: there are no stacks. Exit code 3: nothing runs, no such service, or no\n" +
			"such process.",
		Example: "  vigil snapshot web\n  vigil snapshot --twice web\n  vigil snapshot --pid 4711",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case f.pid < 0:
				return usagef("cannot use --pid %d: it is not a process", f.pid)
			case f.pid == 0 && len(args) == 0:
				return usagef("name a service, or a process by --pid")
			case f.pid != 0 && len(args) > 0:
				return usagef("name a service or a process, not both")
			case f.twice && f.detach:
				return usagef("--twice compares two snapshots, so it cannot go before they are read: leave --detach out")
			case f.pid != 0 && f.detach:
				return usagef("--detach is for services: with --pid this command is what reads the stacks")
			case f.pid == 0 && f.keepCore:
				return usagef("--keep-core is for --pid; of a service the configuration says so (capture.keep_core)")
			}
			return nil
		},
		RunE: a.do(func(cmd *cobra.Command, services []string) error {
			take := func(ctx context.Context, detach bool) ([]control.SnapshotResult, error) {
				return a.askSnapshot(ctx, services, detach)
			}
			if f.pid != 0 {
				take = func(ctx context.Context, _ bool) ([]control.SnapshotResult, error) { return a.snapshotProcess(ctx, f) }
			}
			return a.snapshot(cmd.Context(), f, take)
		}),
	}
	flags := cmd.Flags()
	flags.IntVar(&f.pid, "pid", 0, "a process, of whoever; into the store of this instance")
	flags.BoolVar(&f.twice, "twice", false, "take two, a second apart, and say what has not moved")
	flags.BoolVar(&f.detach, "detach", false, "return when the processes run again; vigil reads the stacks meanwhile")
	flags.BoolVar(&f.keepCore, "keep-core", false, "with --pid: keep the memory too, which holds every secret of the program")
	flags.DurationVar(&f.budget, "budget", 5*time.Second, "with --pid: most time until the process runs on")
	flags.BoolVar(&f.json, "json", false, "print a list of objects")
	return cmd
}

// takeSnapshots takes one round of snapshots.
type takeSnapshots func(ctx context.Context, detach bool) ([]control.SnapshotResult, error)

func (a *app) snapshot(ctx context.Context, f snapshotFlags, take takeSnapshots) error {
	var first []control.SnapshotResult
	var err error
	if f.twice {
		next := time.NewTimer(betweenTwo)
		defer next.Stop()
		if first, err = take(ctx, true); err != nil {
			return err
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	results, err := take(ctx, f.detach)
	if err != nil {
		return err
	}
	all := append(first, results...)
	if f.json {
		err = a.printJSON(all)
	} else {
		a.tellSnapshots(results)
	}
	if err != nil {
		return err
	}
	if f.twice && !f.json {
		if err := a.compareSnapshots(first, results); err != nil {
			return err
		}
	}
	for _, r := range all {
		if r.Error != "" {
			return &exit{code: exitFailed}
		}
	}
	return nil
}

func (a *app) askSnapshot(ctx context.Context, services []string, detach bool) ([]control.SnapshotResult, error) {
	parts, err := a.shares(ctx, services)
	if err != nil {
		return nil, err
	}
	results := []control.SnapshotResult{}
	for _, p := range parts {
		list, err := p.Snapshot(ctx, control.Snapshot{Services: p.services, Detach: detach})
		if interrupted(err) {
			err = fmt.Errorf("the supervisor was replaced or ended meanwhile; a snapshot that was begun goes on, see vigil incidents: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot take a snapshot of %s: %w", strings.Join(p.services, ", "), err)
		}
		results = append(results, list...)
	}
	return results, nil
}

// tellSnapshots prints the incident of each, and says how it went.
func (a *app) tellSnapshots(results []control.SnapshotResult) {
	for _, r := range results {
		if r.Incident != "" {
			fmt.Fprintln(a.out, a.clean(a.out, r.Incident))
		}
		if r.Error != "" {
			a.note("cannot take a snapshot of %s: %s", r.Service, r.Error)
		}
		switch {
		case r.Pause > 0:
			a.note("%s (pid %d) stood still for %s (%s)", r.Service, r.PID, human(r.Pause), r.Rung)
		case r.Rung != "" && r.Rung != "none":
			a.note("%s (pid %d) was asked, or looked at by a debugger (%s)", r.Service, r.PID, r.Rung)
		}
		for _, no := range r.Refused {
			a.note("%s: not by %s: %s", r.Service, no.Rung, no.Reason)
		}
		for _, m := range r.Missing {
			a.note("%s: missing: %s", r.Service, m)
		}
	}
}

// human is a pause for a person.
func human(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
