package keeper

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
)

// tree is every process of one child: its cgroup, or, where there is none, its
// descent.
type tree interface {
	// Empty reports whether no process of it is left.
	Empty() (bool, error)
	// Kill sends SIGKILL to all of it, once.
	Kill() error
	// Wait returns when the tree is empty or ctx ends.
	Wait(ctx context.Context) error
	// Left lists who is still there.
	Left() []int
	// Spare has a process not count as one of the tree.
	Spare(pid int) error
	// Path is the cgroup's directory, or empty.
	Path() string
	Remove()
}

// cgroupTree is a tree with a cgroup v2 of its own: one write kills all of it
// (cgroup.kill, Linux 5.14), forks that happen meanwhile included.
type cgroupTree struct{ group cgroup.Group }

func (t cgroupTree) Empty() (bool, error) {
	populated, err := t.group.Populated()
	return !populated, err
}
func (t cgroupTree) Kill() error                    { return t.group.Kill() }
func (t cgroupTree) Wait(ctx context.Context) error { return t.group.WaitEmpty(ctx) }
func (t cgroupTree) Path() string                   { return t.group.Path() }
func (t cgroupTree) Left() []int {
	pids, err := t.group.Procs()
	if err != nil {
		return nil
	}
	return pids
}

// Spare moves the process to the group above, where no service is.
func (t cgroupTree) Spare(pid int) error {
	above, err := cgroup.Open(filepath.Dir(t.group.Path()))
	if err != nil {
		return err
	}
	return above.Take(pid)
}

// Remove gives the directory back; one that is not empty stays and is tried
// again by the next keeper of this name.
func (t cgroupTree) Remove() { _ = t.group.Remove() }

// emptied reports that a tree is empty, or who keeps it from being so.
type emptied struct {
	id   string
	left []int // nil: it is empty
	err  error
}

// killRound is how long a killed tree may take before its survivors are named
// and it is killed again. A process in uninterruptible sleep dies when its
// wait ends, not before (state D, proc(5)).
const killRound = 2 * time.Second

// killTree kills until nothing is left. It reports survivors after each round
// and ends when the tree is empty or the keeper ends.
func killTree(ctx context.Context, id string, t tree, report chan<- emptied) {
	for {
		err := t.Kill()
		round, cancel := context.WithTimeout(ctx, killRound)
		werr := t.Wait(round)
		cancel()
		r := emptied{id: id}
		if werr != nil {
			r.left, r.err = t.Left(), err
			if len(r.left) == 0 {
				r.left = []int{0}
			}
		}
		select {
		case report <- r:
		case <-ctx.Done():
			return
		}
		if werr == nil {
			return
		}
	}
}

// makeTree gives a child a cgroup where there is one to be had.
func (k *Keeper) makeTree(c *child) error {
	if k.cgroups == nil || c.spec.Helper {
		c.tree = newWalkTree(k.pid, c.id, k.mark(c))
		return nil
	}
	g, err := k.cgroups.Make(fmt.Sprintf("%s.%d", c.spec.Key, c.spec.Instance))
	if err != nil {
		return fmt.Errorf("cannot make cgroup: %w", err)
	}
	c.tree = cgroupTree{g}
	return nil
}
