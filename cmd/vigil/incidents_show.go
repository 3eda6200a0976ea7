package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/snapshot/text"
)

// shown is an incident as `vigil incidents show --json` prints it.
type shown struct {
	Incident snapshot.Incident `json:"incident"`
	Stacks   *snapshot.Stacks  `json:"stacks,omitempty"`
	Process  *snapshot.Process `json:"process,omitempty"`
	Timeline []snapshot.Moment `json:"timeline,omitempty"`
	Output   string            `json:"output,omitempty"`
	Problems []string          `json:"problems,omitempty"`
	Dir      string            `json:"directory"`
}

func (a *app) incidentsShowCommand() *cobra.Command {
	var json, all bool
	var groupBy string
	cmd := &cobra.Command{
		Use:   "show [ID|last|BUNDLE]",
		Short: "Show one incident: its sentence, stacks, and what happened before",
		Long: "Show one incident: its sentence, stacks, and what happened before. ID is one of the\nlist, or the beginning of one; without it the newest is shown. BUNDLE is a file\nthat vigil incidents export wrote; diff and export take one too.\n\n" +
			"With --group-by only its stacks are shown, grouped as the browser does: by the whole\n" +
			"stack, by the innermost frame of the program's own code (top), by who created them, by\n" +
			"label, by the name of the thread without its number, or by state. Then --json prints\n" +
			"what the browser's API answers, where thread is called name.",
		Example: "  vigil incidents show last\n  vigil incidents show last --group-by top",
		Args:    atMostOne("incident"),
		RunE: a.do(func(_ *cobra.Command, args []string) error {
			ref := store.Last
			if len(args) > 0 {
				ref = args[0]
			}
			if groupBy != "" {
				full, _, err := a.loadIncident(ref)
				if err != nil {
					return err
				}
				return a.showGroups(full, groupBy, json, all)
			}
			return a.showIncident(ref, json, all)
		}),
	}
	cmd.Flags().BoolVar(&json, "json", false, "print an object")
	cmd.Flags().Var(&choice{value: &groupBy, allowed: groupings()}, "group-by", "show only the stacks, grouped by "+strings.Join(groupings(), ", "))
	cmd.Flags().BoolVar(&all, "all", false, "show also what is collapsed: idle goroutines, long lists")
	return cmd
}

func (a *app) showIncident(ref string, json, all bool) error {
	s, id, err := a.findIncident(ref)
	if err != nil {
		return err
	}
	full, err := s.Load(id)
	if errors.Is(err, store.ErrNotFound) {
		return &exit{exitNothing, err}
	}
	if err != nil {
		return err
	}
	if !json {
		return text.Incident(a.out, text.Document(full), a.textOptions(all))
	}
	dir, err := s.Dir(id)
	if err != nil {
		return err
	}
	return a.printJSON(shown{full.Incident, full.Stacks, full.Process, full.Timeline, string(full.Output), full.Problems, dir})
}

// latest is another word for store.Last.
const latest = "latest"

// find returns the incident that a reference means among all stores.
func find(stores []*store.Store, ref string) (*store.Store, string, error) {
	if ref == store.Last || ref == latest {
		return findLast(stores)
	}
	var in *store.Store
	var id string
	for _, s := range stores {
		got, err := s.Resolve(ref)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, "", err
		case in != nil:
			return nil, "", usagef("more than one incident begins with %q: %s, %s", ref, id, got)
		default:
			in, id = s, got
		}
	}
	if in == nil {
		return nil, "", nothingf("no incident begins with %q", ref)
	}
	return in, id, nil
}

func findLast(stores []*store.Store) (*store.Store, string, error) {
	var in *store.Store
	var last snapshot.Incident
	for _, s := range stores {
		list, _, err := s.List(store.Filter{Max: 1})
		if err != nil {
			return nil, "", err
		}
		if len(list) > 0 && (in == nil || newestFirst(list[0], last) < 0) {
			in, last = s, list[0]
		}
	}
	if in == nil {
		return nil, "", nothingf("no incidents")
	}
	return in, last.ID, nil
}

// shortly bounds a question that is not what the command is about.
func shortly() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}
