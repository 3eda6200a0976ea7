package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/jvm"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
	"github.com/vigil-supervisor/vigil/snapshot/collect/node"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
	"github.com/vigil-supervisor/vigil/snapshot/collect/python"
	"github.com/vigil-supervisor/vigil/snapshot/collect/tree"
)

// said is what the runtime of a process, or a debugger, said of it.
type said struct {
	stacks  *snapshot.Stacks
	report  *snapshot.RuntimeReport
	dump    []byte
	ran     []snapshot.Ran
	missing []string
}

// asking is how a process is asked: the main one of a service may be sent the
// signals that its configuration names.
type asking struct {
	pid     int
	ticks   uint64
	budget  time.Duration
	outputs []string
	signal  string // at which it prints its stacks; "": what is known of its runtime
	lethal  bool   // it may end by that
}

// ask has a process say what it does, where it can, or a debugger look.
func ask(ctx context.Context, runtime string, a asking) said {
	fail := func(missing []string, err error) []string {
		if err != nil {
			missing = append(missing, err.Error())
		}
		return missing
	}
	switch runtime {
	case process.RuntimeJVM:
		r := jvm.Collect(ctx, jvm.Options{PID: a.pid, StartTicks: a.ticks, Budget: a.budget, Output: a.outputs, Lethal: a.lethal})
		return said{r.Stacks, r.Report, r.Dump, r.Ran, r.Missing}
	case process.RuntimePython:
		r, err := python.Collect(ctx, python.Options{PID: a.pid, StartTicks: a.ticks, Budget: a.budget, Output: a.outputs, Signal: a.signal, Lethal: a.lethal})
		return said{r.Stacks, r.Report, r.Dump, r.Ran, fail(r.Missing, err)}
	case process.RuntimeNode:
		r, err := node.Collect(ctx, node.Options{PID: a.pid, StartTicks: a.ticks, Budget: a.budget, Signal: a.signal})
		return said{r.Stacks, r.Report, r.Dump, r.Ran, fail(r.Missing, err)}
	}
	r, err := native.Collect(ctx, native.Options{PID: a.pid, StartTicks: a.ticks, Budget: a.budget, Runtime: runtime})
	return said{r.Stacks, r.Report, r.Dump, r.Ran, fail(r.Missing, err)}
}

// askRuntime asks the target, unless it is Go: its goroutines are in its memory.
func (f *freezing) askRuntime(ctx context.Context) said {
	if f.report.Program.Runtime == process.RuntimeGo {
		return said{}
	}
	return ask(ctx, f.report.Program.Runtime, asking{
		pid: f.target.PID, ticks: f.target.StartTicks, budget: left(ctx), outputs: f.outputs, signal: f.signal, lethal: f.lethal,
	})
}

// left is the time until the deadline of a context that has one.
func left(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return max(time.Until(end), time.Millisecond)
}

// family looks at the other processes of the service. They end with it, so this
// comes before.
func (f *freezing) family(ctx context.Context) (*snapshot.Tree, error) {
	start := clock.Boot()
	r, err := tree.Collect(ctx, tree.Options{
		PID: f.target.PID, StartTicks: f.target.StartTicks, Cgroup: f.cgroup, Budget: left(ctx),
		Stacks: func(ctx context.Context, pid int, program snapshot.Program) (*snapshot.Stacks, []string) {
			s := ask(ctx, program.Runtime, asking{pid: pid, budget: left(ctx)})
			return s.stacks, s.missing
		},
	})
	if err != nil {
		return nil, err
	}
	if r.Tree == nil || r.Tree.Count == 0 {
		return nil, nil
	}
	f.ran("tree", start, 0, strings.Join(r.Tree.Missing, "; "), "partial")
	return r.Tree, nil
}

// keep writes what was said.
func (f *freezing) keep(s said) error {
	f.report.Ran = append(f.report.Ran, s.ran...)
	for _, m := range s.missing {
		f.missing("%s", m)
	}
	if s.stacks != nil {
		if f.report.Freeze.Method == "none" {
			f.report.Freeze.Method = snapshot.RungRuntime
		}
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
