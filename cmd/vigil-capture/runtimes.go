package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/jvm"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
)

// said is what the runtime of a process, or a debugger, said of it.
type said struct {
	stacks  *snapshot.Stacks
	report  *snapshot.RuntimeReport
	dump    []byte
	ran     []snapshot.Ran
	missing []string
}

// askRuntime has the process say what it does, where it can: before anything
// else is done to it.
func (f *freezing) askRuntime(ctx context.Context) said {
	left := f.budget
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	switch f.report.Program.Runtime {
	case process.RuntimeJVM:
		r := jvm.Collect(ctx, jvm.Options{PID: f.target.PID, Budget: left, Output: f.outputs})
		return said{r.Stacks, r.Report, r.Dump, r.Ran, r.Missing}
	case process.RuntimeGo:
		return said{} // its goroutines are in its memory
	default:
		r, err := native.Collect(ctx, native.Options{PID: f.target.PID, StartTicks: f.target.StartTicks, Budget: left, Runtime: f.report.Program.Runtime})
		if err != nil {
			r.Missing = append(r.Missing, err.Error())
		}
		if how := advice(f.report.Program.Runtime); how != "" {
			r.Missing = append(r.Missing, how)
		}
		return said{r.Stacks, r.Report, r.Dump, r.Ran, r.Missing}
	}
}

// keep writes what was said.
func (f *freezing) keep(s said) error {
	f.report.Ran = append(f.report.Ran, s.ran...)
	for _, m := range s.missing {
		f.missing("%s", m)
	}
	if s.stacks != nil {
		f.report.Freeze.Method = snapshot.RungRuntime
		if err := writeJSON(filepath.Join(f.dir, snapshot.FileStacks), s.stacks); err != nil {
			return err
		}
	}
	if s.report != nil {
		if err := writeJSON(filepath.Join(f.dir, snapshot.FileRuntime), s.report); err != nil {
			return err
		}
	}
	if len(s.dump) > 0 {
		return atomicfile.Write(filepath.Join(f.dir, snapshot.FileDump), s.dump, 0o600)
	}
	return nil
}

// files collects a flag that can be given several times.
type files []string

func (l *files) String() string     { return strings.Join(*l, ",") }
func (l *files) Set(s string) error { *l = append(*l, s); return nil }
