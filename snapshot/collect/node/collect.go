package node

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
	Runtime = "node"
	Source  = "node-report"
)

const defaultBudget = 2 * time.Second

// Options says what to read, and how.
type Options struct {
	PID        int
	StartTicks uint64        // USER_HZ since boot; 0: not checked
	Budget     time.Duration // for everything; 0: 2 s
	Output     []string      // not used: the report is a file of its own

	// Signal is that of --report-signal, where neither the command line nor
	// NODE_OPTIONS tells it: a program can set process.report.signal itself.
	Signal string
}

// Result is what was read.
type Result struct {
	Stacks  *snapshot.Stacks
	Report  *snapshot.RuntimeReport
	Dump    []byte // of eu-stack; the report holds the environment and is not kept
	Ran     []snapshot.Ran
	Missing []string
}

const advice = "for its heap and handles start it with NODE_OPTIONS=--report-on-signal"

// Collect reads the machine's frames and then asks for the report, which comes
// only from an event loop that goes round. The error says that there is no such
// process; everything less is in Missing.
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
	c := &collector{opt: opt, fd: fd, conf: readConfiguration(opt)}
	c.result.Report = &snapshot.RuntimeReport{Schema: snapshot.SchemaVersion, PID: opt.PID, Runtime: Runtime}
	got, err := native.Collect(ctx, native.Options{PID: opt.PID, StartTicks: opt.StartTicks, Budget: opt.Budget * 6 / 10, Runtime: Runtime})
	if err != nil {
		return Result{}, err
	}
	c.result.Stacks, c.result.Dump, c.result.Ran, c.result.Missing = got.Stacks, got.Dump, got.Ran, got.Missing
	begin := time.Now()
	size, err := c.ask(ctx)
	c.ran(time.Since(begin), size, err)
	return c.result, nil
}

// collector is one reading.
type collector struct {
	opt    Options
	fd     pidfd.FD
	conf   configuration
	result Result
}

// Why there is no report.
var (
	errOff     = errors.New("the program writes no report on a signal; " + advice)
	errHandler = errors.New("the program has no handler for the signal of the report")
	errStream  = errors.New("the report goes to the program's output, not to a file")
	errSilent  = errors.New("the program did not answer: its event loop is busy or blocked")
)

// ask sends the signal and reads the report.
func (c *collector) ask(ctx context.Context) (int64, error) {
	sig := unix.SignalNum(c.conf.signal)
	switch {
	case c.conf.signal == "":
		return 0, errOff
	case sig == 0:
		return 0, fmt.Errorf("%s is no signal", c.conf.signal)
	case c.conf.filename == "stdout" || c.conf.filename == "stderr":
		return 0, errStream
	}
	// Without a handler the signal would end it.
	if how, err := procsignal.Of(c.opt.PID, sig); err != nil || how != procsignal.Handles {
		return 0, errHandler
	}
	text, err := c.answer(ctx, sig)
	if err != nil {
		return int64(len(text)), err
	}
	r, err := parse(text)
	if err != nil {
		return int64(len(text)), err
	}
	r.describe(c.result.Report)
	c.result.Stacks = r.merge(c.result.Stacks, c.opt.PID)
	return int64(len(text)), nil
}

// answer waits for a report that was not there before the signal.
func (c *collector) answer(ctx context.Context, sig syscall.Signal) ([]byte, error) {
	before := c.conf.reports()
	if err := c.fd.Signal(sig); err != nil {
		return nil, err
	}
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		for name, at := range c.conf.reports() {
			if before[name] == at {
				continue
			}
			if text, err := readReport(name); err == nil {
				c.result.Report.Notes = append(c.result.Report.Notes, "the report was left where Node.js wrote it")
				return text, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, errSilent
		case <-tick.C:
		}
	}
}

func (c *collector) ran(cost time.Duration, size int64, err error) {
	ran := snapshot.Ran{Name: Source, Result: "ok", Cost: snapshot.Seconds(cost.Seconds()), Bytes: size}
	switch {
	case err == nil:
	case errors.Is(err, errOff), errors.Is(err, errHandler), errors.Is(err, errStream):
		ran.Result, ran.Reason = "skipped", err.Error()
	default:
		ran.Result, ran.Reason = "failed", err.Error()
	}
	c.result.Ran = append(c.result.Ran, ran)
	if err != nil {
		c.result.Missing = append(c.result.Missing, "no report of Node.js: "+err.Error())
	}
	if errors.Is(err, errSilent) {
		c.result.Report.Notes = append(c.result.Report.Notes, "Node.js did not answer the signal of its report: its event loop is busy or blocked")
	}
}
