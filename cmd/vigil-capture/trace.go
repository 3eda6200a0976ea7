package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/capture"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
)

// tracing is one run of the trace command: a permanent tracer.
type tracing struct {
	target   capture.Target
	dir      string
	budget   time.Duration
	most     int64
	binaries string // store of executables
	tell     progress
	report   snapshot.Capture
	ending   error
}

func trace(args []string) error {
	t := tracing{}
	set := flag.NewFlagSet("trace", flag.ContinueOnError)
	set.IntVar(&t.target.PID, "pid", 0, "process to trace until it ends")
	set.Uint64Var(&t.target.StartTicks, "start-ticks", 0, "its start time, field 22 of /proc/PID/stat; another process is refused")
	set.StringVar(&t.dir, "dir", "", "existing directory for process.json, core, capture.json, should it end badly")
	set.DurationVar(&t.budget, "budget", 2*time.Second, "most time that its end is held up")
	set.Int64Var(&t.most, "max-core", 0, "most bytes of memory to copy; 0 is no limit")
	set.StringVar(&t.binaries, "binaries", "", "store of executables by build id")
	fd := set.Int("progress-fd", 1, "descriptor for progress, JSON lines")
	if err := parse(set, args); err != nil {
		return err
	}
	if t.target.PID <= 0 || t.dir == "" || t.budget <= 0 || *fd < 0 || t.most < 0 {
		return fmt.Errorf("%w: --pid, --dir and a positive --budget are needed", errUsage)
	}
	t.tell = progress{os.NewFile(uintptr(*fd), "progress")}
	// Each stop of the target would bring a SIGCHLD, and wake our runtime. What
	// awaits stops does so by wait4(2).
	signal.Ignore(syscall.SIGPIPE, syscall.SIGCHLD)
	if err := t.run(); err != nil {
		t.tell.tell(snapshot.StageFailed, "", err)
		return err
	}
	t.tell.tell(snapshot.StageDone, strings.Join(t.report.Missing, "; "), nil)
	return nil
}

func (t *tracing) run() error {
	target, err := t.target.Identify()
	if err != nil {
		return err
	}
	t.report = snapshot.Capture{Schema: snapshot.SchemaVersion, PID: target.PID, StartTicks: target.StartTicks}
	res, err := capture.Trace(target, capture.TraceOptions{
		Core: filepath.Join(t.dir, snapshot.FileCore), MaxBytes: t.most, Budget: t.budget,
		Attached: func() { t.tell.tell(snapshot.StageStarted, "", nil) },
		Ending:   func(unix.WaitStatus) { t.look() },
	})
	if err != nil || !res.Captured {
		return err
	}
	t.report.Freeze = res.Freeze
	t.report.Freeze.Budget = snapshot.SecondsOf(t.budget)
	t.report.Missing = append(t.report.Missing, res.Missing...)
	if res.Core {
		t.report.Core = snapshot.FileCore
	}
	ran := snapshot.Ran{Name: "trace", Result: "ok", Cost: res.Freeze.Pause, Bytes: res.Freeze.Bytes}
	if len(res.Missing) > 0 {
		ran.Result, ran.Reason = "partial", strings.Join(res.Missing, "; ")
	}
	t.report.Ran = append(t.report.Ran, ran)
	return errors.Join(t.ending, writeJSON(filepath.Join(t.dir, snapshot.FileCapture), t.report))
}

// look reads what /proc shows of a process that stands at its end. What it is
// was not asked before: it may have called execve(2) since.
func (t *tracing) look() {
	ctx, cancel := context.WithTimeout(context.Background(), t.budget)
	defer cancel()
	pid := t.target.PID
	var err error
	if err = keepExe(ctx, pid, t.dir, t.binaries, &t.report); err != nil {
		t.report.Missing = append(t.report.Missing, fmt.Sprintf("the executable, without which the core tells little: %v", err))
	}
	if t.report.Program, err = process.Program(pid); err != nil {
		t.report.Missing = append(t.report.Missing, fmt.Sprintf("what the program is: %v", err))
	}
	seen, err := process.Collect(ctx, pid)
	if err != nil {
		t.report.Missing = append(t.report.Missing, fmt.Sprintf("the process: %v", err))
		return
	}
	t.ending = writeJSON(filepath.Join(t.dir, snapshot.FileProcess), seen)
}
