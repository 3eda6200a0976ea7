package python

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/procsignal"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
)

// Names in Stacks.
const (
	Runtime = "python"
	Source  = "faulthandler"
)

const defaultBudget = 2 * time.Second

// Options says what to read, and how.
type Options struct {
	PID        int
	StartTicks uint64        // USER_HZ since boot; 0: not checked
	Budget     time.Duration // for everything; 0: 2 s
	Output     []string      // regular files that its stdout and stderr go to

	// Signal is that of faulthandler.register(), "SIGUSR1"; "": none.
	Signal string

	// Lethal: the process may end by this. SIGABRT then makes faulthandler, where
	// it is enabled, print all threads.
	Lethal bool
}

// Result is what was read.
type Result struct {
	Stacks  *snapshot.Stacks
	Report  *snapshot.RuntimeReport
	Dump    []byte // what faulthandler printed, or eu-stack
	Ran     []snapshot.Ran
	Missing []string
}

// advice says how to get the frames of Python.
const advice = "the frames are those of the interpreter, not of the program; for these call faulthandler.register(signal.SIGUSR1) in it and configure the signal"

// errTime says that nothing came.
var errTime = errors.New("nothing was printed in time")

// Collect reads the stacks of all Python threads, else those of the machine. The
// error says that there is no such process; everything less is in Missing.
func Collect(ctx context.Context, opt Options) (Result, error) {
	if opt.Budget <= 0 {
		opt.Budget = defaultBudget
	}
	ctx, cancel := context.WithTimeout(ctx, opt.Budget)
	defer cancel()
	fd, err := pidfd.Open(opt.PID)
	if err != nil {
		return Result{}, fmt.Errorf("cannot read the stacks of process %d: %w", opt.PID, err)
	}
	defer func() { _ = fd.Close() }() // nothing was written
	if opt.StartTicks != 0 && !pidfd.Same(opt.PID, opt.StartTicks) {
		return Result{}, fmt.Errorf("cannot read the stacks of process %d: another process has that number now", opt.PID)
	}
	c := &collector{opt: opt, fd: fd}
	c.result.Report = &snapshot.RuntimeReport{Schema: snapshot.SchemaVersion, PID: opt.PID, Runtime: Runtime, Version: version(opt.PID)}
	if opt.Signal != "" && c.bySignal(ctx) {
		return c.result, nil
	}
	if c.byMemory(ctx) {
		return c.result, nil
	}
	c.byMachine(ctx)
	if opt.Lethal {
		c.byAbort(ctx)
	}
	if c.result.Stacks != nil && c.result.Stacks.Source != Source {
		c.result.Missing = append(c.result.Missing, advice)
	}
	return c.result, nil
}

// collector is one reading.
type collector struct {
	opt    Options
	fd     pidfd.FD
	result Result
}

// bySignal asks for the report that the program registered.
func (c *collector) bySignal(ctx context.Context) bool {
	sig := unix.SignalNum(c.opt.Signal)
	if sig == 0 {
		c.ran("failed", 0, fmt.Sprintf("%s is no signal", c.opt.Signal), 0)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, half(ctx))
	defer cancel()
	return c.ask(ctx, sig, c.quiet)
}

// byAbort ends the process for its report.
func (c *collector) byAbort(ctx context.Context) {
	if c.ask(ctx, syscall.SIGABRT, c.dead) {
		c.result.Report.Notes = append(c.result.Report.Notes, "the process was ended by SIGABRT for this report")
	}
}

// byMachine reads the machine's frames.
func (c *collector) byMachine(ctx context.Context) {
	got, err := native.Collect(ctx, native.Options{PID: c.opt.PID, StartTicks: c.opt.StartTicks, Budget: half(ctx), Runtime: Runtime})
	if err != nil {
		c.result.Missing = append(c.result.Missing, err.Error())
		return
	}
	c.result.Stacks, c.result.Dump = got.Stacks, got.Dump
	c.result.Ran = append(c.result.Ran, got.Ran...)
	c.result.Missing = append(c.result.Missing, got.Missing...)
}

// half of the time that is left.
func half(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return defaultBudget
	}
	return max(time.Until(deadline)/2, time.Millisecond)
}

// ask sends a signal that the program has a handler for, and reads what it prints.
func (c *collector) ask(ctx context.Context, sig syscall.Signal, wait func(context.Context, *tails) []byte) bool {
	begin := time.Now()
	if how, err := procsignal.Of(c.opt.PID, sig); err != nil || how != procsignal.Handles {
		c.ran("skipped", 0, fmt.Sprintf("the program has no handler for %s", unix.SignalName(sig)), 0)
		return false
	}
	files := openTails(c.opt.PID, c.opt.Output)
	defer files.close()
	if len(files.list) == 0 {
		c.ran("skipped", 0, "its output goes to no file that can be read", 0)
		return false
	}
	tasks := native.Tasks(c.opt.PID)
	taken := time.Now()
	if err := c.fd.Signal(sig); err != nil {
		c.ran("failed", time.Since(begin), err.Error(), 0)
		return false
	}
	text := wait(ctx, files)
	threads, more := parse(text)
	if len(threads) == 0 {
		c.ran("failed", time.Since(begin), errTime.Error(), 0)
		return false
	}
	c.ran("ok", time.Since(begin), "", int64(len(text)))
	c.result.Dump = text
	c.result.Stacks = c.stacks(threads, tasks, more)
	c.result.Stacks.Taken = taken.UTC()
	return true
}

func (c *collector) ran(result string, cost time.Duration, reason string, size int64) {
	c.result.Ran = append(c.result.Ran, snapshot.Ran{Name: Source, Result: result, Cost: snapshot.Seconds(cost.Seconds()), Bytes: size, Reason: reason})
	if reason != "" {
		c.result.Missing = append(c.result.Missing, Source+": "+reason)
	}
}
