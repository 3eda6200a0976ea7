package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/signals/ledger"
)

func (a *app) signalsCommand() *cobra.Command {
	var json bool
	var limit int
	cmd := &cobra.Command{
		Use:   "signals",
		Short: "Show who sent which signal to vigil, and what came of it",
		Long: "Show the ledger of signals, oldest first: each signal that the main process received,\n" +
			"who sent it, how many were merged into one, and what came of it. What was asked for\n" +
			"by a command instead (vigil reload, vigil signal) is in it too. A sender that was gone\n" +
			"before it could be looked at has no name. When vigil does not run, the entries come\n" +
			"from the file in the state directory.",
		Example: "  vigil signals\n  vigil signals --json --limit 10",
		Args:    noArguments,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("cannot show %d entries", limit)
			}
			return a.signals(cmd.Context(), limit, json)
		}),
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 0, "show only the newest so many")
	cmd.Flags().BoolVar(&json, "json", false, "print a list of objects")
	return cmd
}

func (a *app) signals(ctx context.Context, limit int, json bool) error {
	list, err := a.listSignals(ctx, limit)
	if err != nil {
		return err
	}
	if json {
		return a.printJSON(list)
	}
	rows := [][]cell{{{text: "TIME"}, {text: "SIGNAL"}, {text: "FROM"}, {text: "COUNT"}, {text: "ASKS FOR"}, {text: "OUTCOME"}}}
	for _, e := range list {
		rows = append(rows, signalRow(e))
	}
	_, err = fmt.Fprint(a.out, a.table(rows))
	return err
}

func (a *app) listSignals(ctx context.Context, limit int) (list []control.SignalEntry, err error) {
	asked := a.patiently(ctx, func(ctx context.Context) error {
		one, err := a.one()
		if err == nil {
			list, err = one.Signals(ctx, control.SignalsQuery{Limit: limit})
		}
		return err
	})
	if asked == nil || codeOf(asked) != exitNothing {
		return list, asked
	}
	p, err := place.Resolve(a.options())
	if err != nil {
		return nil, err
	}
	kept, bad, err := ledger.Read(filepath.Join(p.State, ledger.FileName))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(kept) == 0 {
		return nil, asked
	}
	if err != nil {
		return nil, system(err)
	}
	a.note("vigil does not run; these are from %s", p.State)
	if bad > 0 {
		a.note("%d lines there cannot be read", bad)
	}
	if limit > 0 && len(kept) > limit {
		kept = kept[len(kept)-limit:]
	}
	for _, e := range kept {
		list = append(list, control.SignalEntry(e))
	}
	return list, nil
}

func signalRow(e control.SignalEntry) []cell {
	name, outcome, asks := e.Signal, e.Outcome, string(e.Demand)
	if name == "" {
		name = "-"
	}
	if outcome == "" {
		outcome = "pending"
	}
	switch {
	case e.Target != "" && e.Demand != "":
		asks += " of " + e.Target
	case e.Target != "":
		asks = "to " + e.Target
	}
	if asks == "" {
		asks = "-"
	}
	return []cell{{text: stamp(e.Time)}, {text: name}, {text: senderWords(e)}, {text: strconv.Itoa(e.Count)}, {text: asks}, {text: outcome}}
}

// senderWords names the first sender and counts the further ones.
func senderWords(e control.SignalEntry) string {
	text := senderWord(e.Sender)
	switch n := len(e.Senders); {
	case n == 1 && e.Others == 0:
		text += " and " + senderWord(e.Senders[0].Sender)
	case n > 0 || e.Others > 0:
		text += " and others"
	}
	return text
}

func senderWord(s signals.Sender) string {
	switch {
	case s.Command == signals.Kernel:
		return "the kernel"
	case s.PID == 0:
		return "unknown"
	}
	text := "pid " + strconv.Itoa(s.PID)
	if s.Command != "" {
		text += " (" + s.Command + ")"
	}
	if s.UID >= 0 {
		text += " uid " + strconv.Itoa(s.UID)
	}
	if s.ParentCommand != "" {
		text += " by " + s.ParentCommand
	}
	if s.Forged {
		text += ", forged?"
	}
	return text
}
