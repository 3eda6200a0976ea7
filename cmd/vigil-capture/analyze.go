package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/capture"
	"github.com/vigil-supervisor/vigil/snapshot/collect/golang"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
)

// analysis is one run of the analyze command.
type analysis struct {
	dir, exe, core string
	runtime        string
	binaries       string // store of executables
	pid            int
	budget         time.Duration
	memory         int64
	keepCore       bool
	opt            golang.Options
	report         snapshot.Capture
}

func analyse(args []string) error {
	a := analysis{}
	set := flag.NewFlagSet("analyze", flag.ContinueOnError)
	set.StringVar(&a.dir, "dir", "", "directory of capture.json; stacks.json is written there")
	set.StringVar(&a.exe, "exe", "", "executable; the default is what capture.json names")
	set.StringVar(&a.core, "core", "", "core to read; the default is DIR/core; one that is given is never deleted")
	set.IntVar(&a.pid, "pid", 0, "refuse a core of another process")
	set.DurationVar(&a.budget, "budget", time.Minute, "most time")
	set.Int64Var(&a.memory, "memory", 2<<30, "most bytes of memory")
	set.IntVar(&a.opt.MaxGoroutines, "max-goroutines", 1<<20, "most goroutines to list")
	set.StringVar(&a.binaries, "binaries", "", "store of executables by build id, for one that is gone or was replaced")
	set.BoolVar(&a.opt.NoVariables, "no-variables", false, "stacks only")
	set.StringVar(&a.runtime, "runtime", process.RuntimeGo, "what kind of program the core is of")
	set.BoolVar(&a.keepCore, "keep-core", false, "keep DIR/core")
	if err := parse(set, args); err != nil {
		return err
	}
	if a.dir == "" || a.budget <= 0 || a.memory <= 0 || a.pid < 0 {
		return fmt.Errorf("%w: --dir and positive --budget and --memory are needed", errUsage)
	}
	a.confine()
	return a.run()
}

// confine bounds memory and yields to everybody else. None of it is vital.
func (a *analysis) confine() {
	debug.SetMemoryLimit(a.memory)
	// The address space of a Go program is far larger than its memory; this
	// stops a runaway, the memory limit above does the fine work.
	limit := uint64(a.memory)*2 + 8<<30
	_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit})
	// Linux has a nice value per thread; new ones inherit that of their maker.
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, 10)
		}
	}
}

func (a *analysis) run() error {
	reportPath := filepath.Join(a.dir, snapshot.FileCapture)
	if err := readJSON(reportPath, &a.report); err != nil && !(errors.Is(err, os.ErrNotExist) && a.core != "") {
		return fmt.Errorf("cannot read the capture: %w", err)
	}
	a.report.Schema = snapshot.SchemaVersion
	if err := a.inputs(); errors.Is(err, errCore) {
		a.judge(0, 0, nil, err)
		return a.close(err, true)
	} else if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.budget)
	defer cancel()
	start := clock.Boot()
	stacks, missing, err := a.read(ctx)
	cost := snapshot.SecondsOf(clock.Boot() - start)
	if ctx.Err() != nil {
		missing = append(missing, fmt.Sprintf("the time of %v was up", a.budget))
	}
	a.judge(cost, stacks.Unwound, missing, err)
	if err == nil {
		if err := writeJSON(filepath.Join(a.dir, snapshot.FileStacks), stacks); err != nil {
			return err
		}
	}
	return a.close(err, err != nil || stacks.Unwound == 0)
}

// read reads the core: of Go every goroutine, of others every thread.
func (a *analysis) read(ctx context.Context) (snapshot.Stacks, []string, error) {
	if a.report.Program.Runtime != "" {
		a.runtime = a.report.Program.Runtime
	}
	if a.runtime == process.RuntimeGo {
		return golang.Collect(ctx, a.opt)
	}
	r, err := native.Collect(ctx, native.Options{Core: a.opt.Core, Exe: a.opt.Exe, Budget: a.budget, Runtime: a.runtime})
	a.report.Ran = append(a.report.Ran, r.Ran...)
	if err == nil && r.Stacks == nil {
		err = errors.New(strings.Join(r.Missing, "; "))
	}
	if err != nil {
		return snapshot.Stacks{}, nil, err
	}
	return *r.Stacks, r.Missing, nil
}

// judge records how the reading went. The limits that every reading has are
// notes of the stacks and make nothing partial.
func (a *analysis) judge(cost snapshot.Seconds, unwound int, missing []string, err error) {
	ran := snapshot.Ran{Name: "golang", Result: "ok", Cost: cost}
	switch {
	case err != nil:
		ran.Result, ran.Reason = "failed", err.Error()
		missing = append(missing, err.Error())
	case unwound == 0 && len(missing) == 0:
		missing = append(missing, "no goroutine could be read")
		fallthrough
	case len(missing) > 0:
		ran.Result, ran.Reason = "partial", missing[len(missing)-1]
	}
	for _, m := range missing {
		a.report.Missing = append(a.report.Missing, "goroutines: "+m)
	}
	a.report.Ran = append(a.report.Ran, ran)
}

// close removes the core and completes capture.json. When the reading gave
// nothing, a debugger might still, so it says that the core is gone.
func (a *analysis) close(err error, useless bool) error {
	removed, failed := a.tidy()
	if removed && useless {
		a.report.Missing = append(a.report.Missing, "core: it was removed, since it holds every secret of the program; vigil-capture analyze --keep-core keeps it for a debugger")
	}
	return errors.Join(err, failed, writeJSON(filepath.Join(a.dir, snapshot.FileCapture), a.report))
}

// errCore marks a core that nobody can read.
var errCore = errors.New("cannot use the core")

// inputs finds the core and the executable and checks whose core it is.
func (a *analysis) inputs() error {
	a.opt.Core = a.core
	if a.core == "" {
		if a.report.Core == "" {
			return fmt.Errorf("cannot analyse %s: the capture has no core", a.dir)
		}
		a.opt.Core = filepath.Join(a.dir, snapshot.FileCore)
	}
	want := a.pid
	if want == 0 {
		want = a.report.PID
	}
	owner, tids, err := capture.OwnerOf(a.opt.Core)
	if err != nil {
		return fmt.Errorf("%w: %w", errCore, err)
	}
	if want != 0 && owner != want {
		return fmt.Errorf("cannot analyse core %s: it belongs to process %d (%d threads), not %d", a.opt.Core, owner, len(tids), want)
	}
	a.opt.Exe = a.exe
	if a.exe == "" {
		a.opt.Exe = a.report.Exe
		if a.report.ExeCopied {
			a.opt.Exe = filepath.Join(a.dir, snapshot.FileExe)
		}
	}
	if a.opt.Exe == "" {
		return fmt.Errorf("%w: no executable is known; give --exe", errUsage)
	}
	a.opt.Taken = a.taken()
	if a.exe != "" {
		return nil // symbols that somebody chose
	}
	var why string
	if a.opt.Exe, why = replaced(&a.report, a.opt.Core, a.opt.Exe, a.binaries); why != "" {
		return fmt.Errorf("%w: %s", errCore, why)
	}
	return nil
}

// taken is when the process stood still: it was looked at directly before. Zero
// when the directory does not say.
func (a *analysis) taken() time.Time {
	var p snapshot.Process
	if readJSON(filepath.Join(a.dir, snapshot.FileProcess), &p) != nil || p.PID != a.report.PID {
		return time.Time{}
	}
	return p.Taken
}

// tidy removes the core, which holds every secret of the program, and the copy
// of the executable. A core that was named by the caller is the caller's.
func (a *analysis) tidy() (removed bool, err error) {
	if a.keepCore || a.core != "" {
		return false, nil
	}
	a.report.Core = ""
	err = os.Remove(filepath.Join(a.dir, snapshot.FileCore))
	removed = err == nil
	if a.report.ExeCopied {
		a.report.Exe, a.report.ExeCopied = a.report.Program.Path, false
		err = errors.Join(err, os.Remove(filepath.Join(a.dir, snapshot.FileExe)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return removed, fmt.Errorf("cannot remove the core: %w", err)
	}
	return removed, nil
}
