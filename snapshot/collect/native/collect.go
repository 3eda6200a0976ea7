package native

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Runtime is the name in Stacks of what has no runtime of its own.
const Runtime = "native"

// Names of what reads stacks, in Stacks.Source and Ran.Name.
const (
	SourceEUStack = "eu-stack"
	SourceGDB     = "gdb"
	SourceOwn     = "own"
)

// defaultBudget is used when Options has none: that of a whole capture.
const defaultBudget = 2 * time.Second

// Options says what to read.
type Options struct {
	PID        int
	StartTicks uint64        // of the process, USER_HZ since boot; 0: not checked
	Budget     time.Duration // for everything; 0: 2 s
	Output     []string      // not used; the same in every collector

	// Core is a core file (ELF) that is read in the place of a process, and Exe
	// the executable that it is of.
	Core, Exe string

	// Runtime is what Stacks.Runtime says; "": native.
	Runtime string
}

// Result is what was read.
type Result struct {
	Stacks  *snapshot.Stacks        // nil: nothing could be read, Missing says why
	Report  *snapshot.RuntimeReport // always nil: there is no runtime to ask
	Dump    []byte                  // the text of eu-stack; that of gdb holds values and is not kept
	Ran     []snapshot.Ran
	Missing []string
}

// Collect reads the stacks of all threads of a process, or of a core. It returns
// when the budget is up at the latest, plus the time that the kernel needs to
// end a tool. The error says that there is no such process or core; everything
// less is in Missing.
func Collect(ctx context.Context, opt Options) (Result, error) {
	if opt.Budget <= 0 {
		opt.Budget = defaultBudget
	}
	ctx, cancel := context.WithTimeout(ctx, opt.Budget)
	defer cancel()
	if opt.Core != "" {
		return collectCore(ctx, opt)
	}
	fd, err := pidfd.Open(opt.PID)
	if err != nil {
		return Result{}, fmt.Errorf("cannot read the stacks of process %d: %w", opt.PID, err)
	}
	defer func() { _ = fd.Close() }() // nothing was written
	if opt.StartTicks != 0 && !pidfd.Same(opt.PID, opt.StartTicks) {
		return Result{}, fmt.Errorf("cannot read the stacks of process %d: %w", opt.PID, errOther)
	}
	t, err := look(opt.PID, fd)
	if err != nil {
		return Result{}, fmt.Errorf("cannot read the stacks of process %d: %w", opt.PID, err)
	}
	l := &ladder{rungs: []rung{
		{SourceEUStack, t.eustack},
		{SourceGDB, t.gdb},
		{SourceOwn, t.own},
	}, after: t.release}
	if t.tracer != 0 {
		l.missing("process %d is traced by process %d: nobody else can read its stacks", opt.PID, t.tracer)
		return l.result, nil
	}
	best := l.climb(ctx)
	if best == nil {
		l.missing("no stacks: %s", l.reasons())
		return l.result, nil
	}
	l.result.Dump = best.dump
	l.result.Stacks = t.stacks(best, opt.Runtime)
	l.result.Stacks.Notes = append(l.result.Stacks.Notes, l.notes...)
	return l.result, nil
}

var errOther = errors.New("another process has that number now")
