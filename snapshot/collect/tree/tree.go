// Package tree looks at the other processes of a service: those of its cgroup,
// and what descends from its main process. A hang is often theirs: a worker that
// does not answer, a child that is waited for.
package tree

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
)

const (
	name          = "tree"
	defaultBudget = 2 * time.Second

	// leastShare is the time below which no stacks of a process are begun.
	leastShare = 20 * time.Millisecond
)

// Options says whose processes.
type Options struct {
	PID        int           // the main process, which is not in the tree
	StartTicks uint64        // of it, USER_HZ since boot; 0: not checked
	Cgroup     string        // the directory of the service's cgroup v2; "": it has none
	Budget     time.Duration // for everything; 0: 2 s
	Exclude    []int         // further processes that are not of the service, with their descendants: a twin, a helper

	// Stacks reads the stacks of one process, and says what is missing; nil: none
	// are read. Its context ends with the share of that process.
	Stacks func(ctx context.Context, pid int, program snapshot.Program) (*snapshot.Stacks, []string)
}

// Result is what was found.
type Result struct {
	Tree    *snapshot.Tree // never nil
	Ran     []snapshot.Ran
	Missing []string // the same as Tree.Missing
}

// Collect finds the processes, describes all of them and then reads the stacks of
// one after the other, oldest first, until the budget is up. The calling process
// is left out. The error says that /proc cannot be read.
func Collect(ctx context.Context, opt Options) (Result, error) {
	begin := time.Now()
	if opt.Budget <= 0 {
		opt.Budget = defaultBudget
	}
	ctx, cancel := context.WithTimeout(ctx, opt.Budget)
	defer cancel()
	c := &collector{opt: opt, tree: &snapshot.Tree{Schema: snapshot.SchemaVersion}}
	members, err := c.members()
	if err != nil {
		return Result{Tree: c.tree}, err
	}
	c.describe(ctx, members)
	if opt.Stacks != nil {
		c.stacks(ctx)
	}
	ran := snapshot.Ran{Name: name, Result: "ok", Cost: snapshot.Seconds(time.Since(begin).Seconds())}
	if len(c.tree.Missing) > 0 {
		ran.Result, ran.Reason = "partial", c.tree.Missing[0]
	}
	return Result{Tree: c.tree, Ran: []snapshot.Ran{ran}, Missing: c.tree.Missing}, nil
}

// collector is one reading.
type collector struct {
	opt   Options
	tree  *snapshot.Tree
	ticks []uint64 // start times of tree.Processes
}

func (c *collector) missing(format string, args ...any) {
	c.tree.Missing = append(c.tree.Missing, fmt.Sprintf(format, args...))
}

// members lists the processes, parents first: a parent is older than its children.
func (c *collector) members() ([]proctree.Process, error) {
	all, err := proctree.Scan()
	if err != nil {
		return nil, err
	}
	roots := []int{}
	if main, ok := all[c.opt.PID]; ok && (c.opt.StartTicks == 0 || main.Ticks == c.opt.StartTicks) {
		roots = append(roots, c.opt.PID)
	} else {
		c.missing("the main process %d is gone: its descendants are not known, except by the cgroup", c.opt.PID)
	}
	if c.opt.Cgroup != "" {
		pids, err := procs(c.opt.Cgroup)
		if err != nil {
			c.missing("%v", err)
		}
		roots = append(roots, pids...)
	}
	out := map[int]bool{c.opt.PID: true, os.Getpid(): true}
	for _, p := range all.Descendants(c.opt.Exclude...) {
		out[p.PID] = true
	}
	var list []proctree.Process
	for _, p := range all.Descendants(roots...) {
		if !out[p.PID] {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b proctree.Process) int {
		if a.Ticks != b.Ticks {
			return int(min(max(int64(a.Ticks-b.Ticks), -1), 1))
		}
		return a.PID - b.PID
	})
	return list, nil
}

func procs(dir string) ([]int, error) {
	g, err := cgroup.Open(dir)
	if err != nil {
		return nil, err
	}
	return g.Procs()
}

// describe fills in what /proc tells cheaply.
func (c *collector) describe(ctx context.Context, members []proctree.Process) {
	c.tree.Count = len(members)
	for i, p := range members {
		if len(c.tree.Processes) == snapshot.MaxTree {
			c.missing("%d of %d processes are left out: at most %d are described", len(members)-i, len(members), snapshot.MaxTree)
			return
		}
		if ctx.Err() != nil {
			c.missing("%d of %d processes are left out: the time was up", len(members)-i, len(members))
			return
		}
		one, ok := describe(p)
		if !ok {
			c.tree.Count-- // it ended
			continue
		}
		c.tree.Processes = append(c.tree.Processes, one)
		c.ticks = append(c.ticks, p.Ticks)
	}
}

func describe(p proctree.Process) (snapshot.TreeProcess, bool) {
	one := snapshot.TreeProcess{PID: p.PID, PPID: p.PPID}
	proc, err := procfs.NewProc(p.PID)
	if err != nil {
		return one, false
	}
	st, err := proc.Stat()
	if err != nil || st.Starttime != p.Ticks {
		return one, false
	}
	one.PPID, one.Comm, one.State, one.RSS, one.Threads = st.PPID, st.Comm, st.State, int64(st.ResidentMemory()), st.NumThreads
	if st.State == "Z" {
		one.Missing = append(one.Missing, "it is dead, and its parent has not taken notice")
		return one, true
	}
	if args, err := proc.CmdLine(); err == nil {
		one.Command = snapshot.MaskArguments(args)
	}
	if one.Program, err = process.Program(p.PID); err != nil {
		one.Missing = append(one.Missing, err.Error())
	}
	return one, true
}

// stacks reads those of each process with an equal share of what is left.
func (c *collector) stacks(ctx context.Context) {
	for i := range c.tree.Processes {
		one := &c.tree.Processes[i]
		if one.State == "Z" {
			continue
		}
		share := share(ctx, len(c.tree.Processes)-i)
		if share < leastShare {
			c.missing("the stacks of %d processes were not read: the time was up", len(c.tree.Processes)-i)
			return
		}
		if !pidfd.Same(one.PID, c.ticks[i]) {
			one.Missing = append(one.Missing, "it ended before its stacks were read")
			continue
		}
		limited, cancel := context.WithTimeout(ctx, share)
		stacks, missing := c.opt.Stacks(limited, one.PID, one.Program)
		cancel()
		one.Stacks = stacks
		one.Missing = append(one.Missing, missing...)
	}
}

// share is the time of the next of n: twice its equal part, since most are quick,
// but never more than is left.
func share(ctx context.Context, n int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok || ctx.Err() != nil {
		return 0
	}
	left := time.Until(deadline)
	if n > 2 {
		return left * 2 / time.Duration(n)
	}
	return left / time.Duration(n)
}
