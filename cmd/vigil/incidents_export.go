package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/export"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// exportFlags are the flags of `vigil incidents export`.
type exportFlags struct {
	output                      string
	pprof, text, json, markdown bool
	share, withOutput           bool
}

func (a *app) incidentsExportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Write an incident to a file, whole or in another form",
		Long: "Write an incident to a file: all of its files as one ID.tar.zst, or its stacks in\n" +
			"another form. --share is for others: it leaves out variables, values of the\n" +
			"environment, output and memory, gives network addresses other names, and says what it\n" +
			"removed.",
		Example: "  vigil incidents export last\n  vigil incidents export last --pprof -o hang.pb.gz && go tool pprof -top hang.pb.gz",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name one incident")
			}
			forms := 0
			for _, set := range []bool{f.pprof, f.text, f.json, f.markdown} {
				if set {
					forms++
				}
			}
			if forms > 1 {
				return usagef("choose one form: --pprof, --text, --json or --markdown")
			}
			if f.withOutput && !f.share {
				return usagef("--with-output is for --share; without it the output is in the bundle anyway")
			}
			return nil
		},
		RunE: a.do(func(_ *cobra.Command, args []string) error { return a.export(args[0], f) }),
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "file to write, which must not exist; - is standard output (default ID.tar.zst, or standard output for another form)")
	flags.BoolVar(&f.pprof, "pprof", false, "stacks as a profile, for go tool pprof")
	flags.BoolVar(&f.text, "text", false, "stacks as the runtime itself prints them")
	flags.BoolVar(&f.json, "json", false, "everything as one object")
	flags.BoolVar(&f.markdown, "markdown", false, "what a bug report needs")
	flags.BoolVar(&f.share, "share", false, "without what others must not see")
	flags.BoolVar(&f.withOutput, "with-output", false, "with --share: with the last output nevertheless")
	return cmd
}

func (a *app) export(ref string, f exportFlags) error {
	full, dir, err := a.loadIncident(ref)
	if err != nil {
		return err
	}
	if f.share {
		output := string(full.Output)
		for _, one := range export.Share(&full.Incident, full.Stacks, full.Process, &full.Timeline, &full.Problems, &output) {
			a.note("removed: %s", one)
		}
		full.Output = []byte(output)
		if !f.withOutput {
			full.Output, full.Timeline = nil, nil
			a.note("removed: the last output, and the timeline")
		}
	}
	write, err := a.form(full, dir, f)
	if err != nil {
		return err
	}
	path := f.output
	if path == "" {
		path = "-"
		if !f.pprof && !f.text && !f.json && !f.markdown {
			path = full.Incident.ID + ".tar.zst"
		}
	}
	if path == "-" {
		return write(a.out)
	}
	if err := writeNew(path, write); err != nil {
		return err
	}
	if f.output == "" {
		fmt.Fprintln(a.out, path)
	}
	return nil
}

// form returns what writes the form that was asked for.
func (a *app) form(full store.Full, dir string, f exportFlags) (func(io.Writer) error, error) {
	if (f.pprof || f.text) && full.Stacks == nil {
		return nil, nothingf("incident %s has no stacks", full.Incident.ID)
	}
	switch {
	case f.pprof:
		return func(w io.Writer) error { return export.Pprof(w, full.Incident, *full.Stacks) }, nil
	case f.text:
		return func(w io.Writer) error { return export.Text(w, *full.Stacks) }, nil
	case f.markdown:
		return func(w io.Writer) error { return export.Markdown(w, full.Incident, full.Stacks) }, nil
	case f.json:
		all := shown{full.Incident, full.Stacks, full.Process, full.Timeline, string(full.Output), full.Problems, ""}
		return func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(all)
		}, nil
	}
	var replace map[string]any
	if f.share { // nothing leaves that was not cleaned
		replace = map[string]any{snapshot.FileIncident: full.Incident}
		if full.Stacks != nil {
			replace[snapshot.FileStacks] = full.Stacks
		}
		if full.Process != nil {
			replace[snapshot.FileProcess] = full.Process
		}
		if f.withOutput {
			replace[snapshot.FileOutput], replace[snapshot.FileTimeline] = full.Output, full.Timeline
		}
	}
	return func(w io.Writer) error {
		return export.Bundle(w, dir, full.Incident.ID, full.Incident.Time, replace, f.share)
	}, nil
}

// writeNew writes a file that must not exist, or leaves none.
func writeNew(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err = errors.Join(write(f), f.Close()); err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
