package main

import (
	"context"
	"encoding/json"
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

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/capture"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
	"github.com/vigil-supervisor/vigil/snapshot/collect/world"
)

// freezing is one run of the freeze command.
type freezing struct {
	target   capture.Target
	dir      string
	budget   time.Duration
	maxCore  int64
	outputs  files
	runtime  string // what the program is, where it does not let itself be seen
	signal   string // at which the program prints its stacks
	lethal   bool   // it is ended afterwards anyway
	cgroup   string // of the service
	since    string // counters of its network when it began, as JSON
	binaries string // store of executables
	core     bool   // copy memory also of a program that is not Go
	tell     progress
	report   snapshot.Capture
	free     bool
	twin     int // pid of the twin that is being copied
}

func freeze(args []string) error {
	f := freezing{}
	set := flag.NewFlagSet("freeze", flag.ContinueOnError)
	set.IntVar(&f.target.PID, "pid", 0, "process to freeze")
	set.Uint64Var(&f.target.StartTicks, "start-ticks", 0, "its start time, field 22 of /proc/PID/stat; another process is refused")
	set.IntVar(&f.target.PIDFD, "pidfd", -1, "inherited pidfd of it")
	set.StringVar(&f.dir, "dir", "", "existing directory for process.json, core, capture.json")
	set.DurationVar(&f.budget, "budget", 2*time.Second, "most time until the target is free again")
	fd := set.Int("progress-fd", 1, "descriptor for progress, JSON lines")
	set.Int64Var(&f.maxCore, "max-core", 0, "most bytes of memory to copy; 0 is no limit")
	set.StringVar(&f.runtime, "runtime", "", "what kind of program it is, should that not be seen: go, jvm, python, node, native")
	set.StringVar(&f.signal, "dump-signal", "", "signal at which the program prints its stacks, as SIGUSR1")
	set.BoolVar(&f.lethal, "lethal", false, "it is ended afterwards anyway: it may end by what it is asked")
	set.StringVar(&f.since, "baseline", "", "counters of its network when it began, as JSON")
	set.StringVar(&f.cgroup, "cgroup", "", "directory of the cgroup of its service")
	set.Var(&f.outputs, "output", "regular file that its output goes to; may be given again")
	set.StringVar(&f.binaries, "binaries", "", "store of executables by build id")
	set.BoolVar(&f.core, "core", false, "copy memory also of a program that is not Go")
	if err := parse(set, args); err != nil {
		return err
	}
	if f.target.PID <= 0 || f.dir == "" || f.budget <= 0 || *fd < 0 || f.maxCore < 0 {
		return fmt.Errorf("%w: --pid, --dir and a positive --budget are needed", errUsage)
	}
	f.tell = progress{os.NewFile(uintptr(*fd), "progress")}
	// A reader of progress that has gone must not kill us in the middle.
	signal.Ignore(syscall.SIGPIPE)
	f.tell.tell(snapshot.StageStarted, "", nil)
	if err := f.run(); err != nil {
		f.tell.tell(snapshot.StageFailed, "", err)
		return err
	}
	f.tell.tell(snapshot.StageDone, strings.Join(f.report.Missing, "; "), nil)
	return nil
}

func (f *freezing) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), f.budget)
	defer cancel()
	target, err := f.target.Identify()
	if err != nil {
		return err
	}
	f.target = target
	f.report = snapshot.Capture{
		Schema: snapshot.SchemaVersion, PID: target.PID, StartTicks: target.StartTicks,
		Freeze: snapshot.Freeze{Method: "none", Budget: snapshot.SecondsOf(f.budget)},
	}
	start := clock.Boot()
	seen, err := process.Collect(ctx, target.PID)
	if err != nil {
		return fmt.Errorf("%w: %w", err, capture.ErrGone)
	}
	if seen.Taken.IsZero() {
		seen.Taken = time.Now().UTC()
	}
	f.ran("process", start, 0, strings.Join(seen.Denied, "; "), "partial")
	if f.report.Program, err = process.Program(target.PID); err != nil {
		f.missing("what the program is: %v", err)
		if f.runtime != "" {
			f.report.Program.Runtime = f.runtime
		}
	}
	start = clock.Boot()
	around := world.Collect(world.Options{PID: target.PID, Cgroup: f.cgroup, Baseline: f.baseline()})
	f.ran("world", start, 0, strings.Join(around.Missing, "; "), "partial")
	words := f.askRuntime(ctx)
	family, failed := f.family(ctx)
	if failed != nil {
		f.missing("the other processes of the service: %v", failed)
	}
	if f.report.Program.Runtime == process.RuntimeGo || f.core {
		if err = f.copyMemory(ctx); err != nil && f.lethal && !errors.Is(err, capture.ErrGone) && !errors.Is(err, capture.ErrReused) {
			f.quit(context.WithoutCancel(ctx), err)
		}
	}
	f.release()
	if errors.Is(err, capture.ErrGone) || errors.Is(err, capture.ErrReused) {
		return err
	}
	if err := writeJSON(filepath.Join(f.dir, snapshot.FileProcess), seen); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(f.dir, snapshot.FileWorld), around); err != nil {
		return err
	}
	if err := f.keep(words); err != nil {
		return err
	}
	if family != nil {
		if err := writeJSON(filepath.Join(f.dir, snapshot.FileTree), family); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(f.dir, snapshot.FileCapture), f.report)
}

// copyMemory keeps the executable and takes the core. What fails short of the
// process being gone is recorded as missing.
func (f *freezing) copyMemory(ctx context.Context) error {
	var err error
	err = keepExe(ctx, f.target.PID, f.dir, f.binaries, &f.report)
	if err != nil {
		f.missing("the executable, without which the core tells little: %v", err)
	}
	start := clock.Boot()
	res, err := capture.Take(ctx, f.target, capture.Options{
		Core: filepath.Join(f.dir, snapshot.FileCore), MaxBytes: f.mostBytes(), Released: f.release, Twin: func(pid int) { f.twin = pid },
	})
	res.Freeze.Budget = f.report.Freeze.Budget
	f.report.Freeze = res.Freeze
	f.report.Missing = append(f.report.Missing, res.Missing...)
	if res.Core {
		f.report.Core = snapshot.FileCore
	}
	reason := strings.Join(res.Missing, "; ")
	result := "partial"
	if err != nil {
		result, reason = "failed", err.Error()
		f.missing("memory: %v", err)
	}
	f.ran("freeze", start, res.Freeze.Bytes, reason, result)
	return err
}

// baseline are the counters when the service began; nil: not known.
func (f *freezing) baseline() *snapshot.Counters {
	if f.since == "" {
		return nil
	}
	var c snapshot.Counters
	if err := json.Unmarshal([]byte(f.since), &c); err != nil {
		f.missing("counters since its start: %v", err)
		return nil
	}
	return &c
}

// mostBytes is what was asked for, and never so much that others find the disk
// full.
func (f *freezing) mostBytes() int64 {
	var fs unix.Statfs_t
	if unix.Statfs(f.dir, &fs) != nil {
		return f.maxCore
	}
	room := max(int64(fs.Bavail)*fs.Bsize*8/10, 1)
	if f.maxCore == 0 {
		return room
	}
	return min(f.maxCore, room)
}

// release tells, once, that the target is free.
func (f *freezing) release() {
	if !f.free {
		f.free = true
		f.tell.say(snapshot.Progress{Stage: snapshot.StageReleased, Twin: f.twin})
	}
}

func (f *freezing) missing(format string, args ...any) {
	f.report.Missing = append(f.report.Missing, fmt.Sprintf(format, args...))
}

// ran records a collector; result counts only when there is a reason.
func (f *freezing) ran(name string, start time.Duration, bytes int64, reason, result string) {
	if reason == "" {
		result = "ok"
	}
	f.report.Ran = append(f.report.Ran, snapshot.Ran{
		Name: name, Result: result, Cost: snapshot.SecondsOf(clock.Boot() - start), Bytes: bytes, Reason: reason,
	})
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", filepath.Base(path), err)
	}
	return atomicfile.Write(path, append(data, '\n'), 0o600)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("cannot parse %s: %w", path, err)
	}
	return nil
}
