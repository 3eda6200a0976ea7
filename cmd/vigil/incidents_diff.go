package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

func (a *app) incidentsDiffCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare the stacks of two incidents",
		Long: "Compare the stacks of two incidents, or of the two snapshots of vigil snapshot --twice:\n" +
			"which groups are only in A, only in B, or in both; and, of one process, what did not\n" +
			"move, what moves and what spins. Stacks are the same when they are at the same\n" +
			"functions and lines; addresses and ids do not count.",
		Example: "  vigil incidents diff 20261125T08 last",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("name two incidents")
			}
			return nil
		},
		RunE: a.do(func(_ *cobra.Command, refs []string) error { return a.diff(refs[0], refs[1], json) }),
	}
	cmd.Flags().BoolVar(&json, "json", false, "print an object")
	return cmd
}

func (a *app) diff(left, right string, json bool) error {
	var both [2]snapshot.Stacks
	for i, ref := range []string{left, right} {
		full, _, err := a.loadIncident(ref)
		if err != nil {
			return err
		}
		if full.Stacks == nil {
			return nothingf("incident %s has no stacks to compare", full.Incident.ID)
		}
		both[i] = *full.Stacks
		if both[i].PID == 0 {
			both[i].PID = full.Incident.PID
		}
	}
	c := analyze.Compare(both[0], both[1])
	if json {
		return a.printJSON(c)
	}
	a.tellComparison(c)
	return nil
}

// loadIncident reads the incident that a reference means.
func (a *app) loadIncident(ref string) (full store.Full, dir string, err error) {
	s, id, err := a.findIncident(ref)
	if err != nil {
		return full, "", err
	}
	if dir, err = s.Dir(id); err == nil {
		full, err = s.Load(id)
	}
	if err != nil {
		return full, "", &exit{exitNothing, err}
	}
	return full, dir, nil
}

func (a *app) tellComparison(c snapshot.Comparison) {
	fmt.Fprintln(a.out, a.clean(a.out, c.Sentence))
	rows := [][]cell{{{text: "SIDE"}, {text: "FIRST"}, {text: "SECOND"}, {text: "STATE"}, {text: "WHERE"}}}
	for _, g := range c.Groups {
		state := g.Status
		if g.WaitReason != "" {
			state = g.WaitReason
		}
		rows = append(rows, []cell{{text: side(g.Side)}, {text: fmt.Sprint(g.Left)}, {text: fmt.Sprint(g.Right)}, {text: state}, {text: placeText(&g.Where)}})
	}
	if len(rows) > 1 {
		fmt.Fprint(a.out, "\n"+a.table(rows))
	}
	rows = [][]cell{{{text: "ID"}, {text: "DOES"}, {text: "CPU"}, {text: "WHERE"}}}
	for _, m := range c.Changes {
		cpu := ""
		if m.CPU > 0 {
			cpu = human(float64(m.CPU))
		}
		name := fmt.Sprint(m.ID)
		if m.Name != "" {
			name += " " + m.Name
		}
		rows = append(rows, []cell{{text: name}, {text: m.Motion}, {text: cpu}, {text: moved(m)}})
	}
	if len(rows) > 1 {
		fmt.Fprint(a.out, "\n"+a.table(rows))
	}
	if c.Cut > 0 {
		fmt.Fprintf(a.out, "... %d more\n", c.Cut)
	}
}

func side(s string) string {
	switch s {
	case snapshot.SideLeft:
		return "only first"
	case snapshot.SideRight:
		return "only second"
	}
	return "both"
}

func moved(c snapshot.Change) string {
	from, to := placeText(c.From), placeText(c.To)
	if from == "" || from == to {
		return to
	}
	if to == "" {
		return from
	}
	return from + " -> " + to
}

func placeText(p *snapshot.Place) string {
	if p == nil {
		return ""
	}
	if p.Line == 0 {
		return p.Function
	}
	return fmt.Sprintf("%s %s:%d", p.Function, p.File, p.Line)
}
