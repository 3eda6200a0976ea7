package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/snapshot/text"
)

// storeName is the directory of the store in a state directory.
const storeName = "incidents"

// listFlags are the flags of `vigil incidents list`.
type listFlags struct {
	json           bool
	service, cause string
	since, until   string
	groupBy        string
	max            int
}

func (a *app) incidentsCommand() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "incidents",
		Short: "Show why services died: the post-mortem store",
		Long: "Show why services died. It needs no vigil that runs: with --state-dir it reads any\n" +
			"store. Without --state-dir and --name the stores of all instances are read.",
		Example: "  vigil incidents\n  vigil incidents show last",
		Args:    a.unknownCommand,
		RunE:    a.do(func(*cobra.Command, []string) error { return a.listIncidents(f) }),
	}
	f.add(cmd)
	cmd.AddCommand(a.incidentsListCommand(), a.incidentsShowCommand(), a.incidentsDiffCommand(), a.incidentsExportCommand(),
		a.incidentsPinCommand(true), a.incidentsPinCommand(false), a.incidentsPruneCommand())
	return cmd
}

func (f *listFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print a list of objects")
	cmd.Flags().StringVar(&f.service, "service", "", "only those of this service")
	cmd.Flags().StringVar(&f.cause, "cause", "", "only those with this cause, as hang")
	cmd.Flags().StringVar(&f.since, "since", "", "only those since then: 24h ago, or 2006-01-02T15:04:05Z")
	cmd.Flags().StringVar(&f.until, "until", "", "only those before then, told as --since")
	cmd.Flags().Var(&choice{value: &f.groupBy, allowed: []string{"fingerprint", "service", "cause"}}, "group-by", "one row for each fingerprint, service or cause, with how many")
	cmd.Flags().IntVarP(&f.max, "max", "n", 0, "only the newest so many")
}

func (a *app) incidentsListCommand() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List incidents, newest first",
		Long:    "List incidents, newest first. Exit code 3 when there is none.",
		Example: "  vigil incidents list --service web --json\n  vigil incidents list --group-by fingerprint --since 7d",
		Args:    noArguments,
		RunE:    a.do(func(*cobra.Command, []string) error { return a.listIncidents(f) }),
	}
	f.add(cmd)
	return cmd
}

func (a *app) listIncidents(f listFlags) error {
	filter := store.Filter{Service: f.service, Max: f.max}
	if f.max < 0 {
		return usagef("cannot list %d incidents", f.max)
	}
	if f.cause != "" {
		cause, err := snapshot.ParseCause(f.cause)
		if err != nil {
			return &exit{exitUsage, err}
		}
		filter.Cause = cause
	}
	for _, t := range []struct {
		text string
		to   *time.Time
	}{{f.since, &filter.Since}, {f.until, &filter.Until}} {
		if t.text == "" {
			continue
		}
		at, err := sinceTime(t.text, time.Now())
		if err != nil {
			return err
		}
		*t.to = at
	}
	stores, err := a.stores()
	if err != nil {
		return err
	}
	all := []snapshot.Incident{}
	for _, s := range stores {
		list := s.Briefs
		if f.json { // all that the manifests say
			list = s.List
		}
		incidents, problems, err := list(filter)
		if err != nil {
			return err
		}
		for _, p := range problems {
			a.note("%s", p)
		}
		if len(all) == 0 && len(incidents) > 0 { // no copy of ten thousand
			all = incidents
			continue
		}
		all = append(all, incidents...)
	}
	if !slices.IsSortedFunc(all, newestFirst) {
		slices.SortStableFunc(all, newestFirst)
	}
	if f.max > 0 {
		all = all[:min(len(all), f.max)]
	}
	if f.groupBy != "" {
		if groups := groupIncidents(all, f.groupBy); f.json {
			err = a.printJSON(groups)
		} else if len(groups) > 0 {
			a.tellGroups(groups)
		}
	} else if f.json {
		err = a.printJSON(all)
	} else {
		err = text.List(a.out, all, a.textOptions(false))
	}
	if err == nil && len(all) == 0 {
		a.err.WriteString("no incidents\n")
		return &exit{code: exitNothing}
	}
	return err
}

func newestFirst(x, y snapshot.Incident) int {
	if c := y.Time.Compare(x.Time); c != 0 {
		return c
	}
	return strings.Compare(y.ID, x.ID)
}

// stores opens the stores that the flags mean, for reading: of the state
// directory that is given; of the instance that is named; or of all instances.
// One that runs is asked, since it may have been started with another directory.
func (a *app) stores() ([]*store.Store, error) {
	places, _, err := place.Find(a.options())
	if err != nil {
		return nil, err
	}
	given := a.options().GivenState()
	if given || a.name != "" {
		places = places[:1]
	}
	var stores []*store.Store
	seen := make(map[string]bool)
	for _, p := range places {
		state := p.State
		if !given {
			state = runningState(p)
		}
		dir := filepath.Join(state, storeName)
		if seen[dir] {
			continue
		}
		seen[dir] = true
		s, err := store.OpenRead(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		stores = append(stores, s)
	}
	return stores, nil
}

// runningState returns the state directory that the instance uses, or the one
// that it would use.
func runningState(p place.Place) string {
	path, err := p.Socket(control.SocketName)
	if err != nil {
		return p.State
	}
	c, err := client.Dial(path)
	if err != nil {
		return p.State
	}
	defer c.Close()
	ctx, cancel := shortly()
	defer cancel()
	i, err := c.Instance(ctx)
	if err != nil || !filepath.IsAbs(i.StateDir) {
		return p.State
	}
	return i.StateDir
}
