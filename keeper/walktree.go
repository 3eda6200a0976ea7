package keeper

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// walkTree is a tree without a cgroup: what descends from the main process, or
// came to us as an orphan with the mark of this child.
type walkTree struct {
	mu      sync.Mutex // the loop asks while a kill goes on
	service *proctree.Service
}

func newWalkTree(reaper int, id, mark string) *walkTree {
	return &walkTree{service: proctree.NewService(mark, reaper)}
}

// started records the main process, from which descent counts.
func (t *walkTree) started(pid int) {
	p, err := proctree.Read(pid)
	if err != nil {
		return // gone already; its orphans carry the mark
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.service.Started(p)
}

// list also says whether it can be told of all processes whether they belong to
// the tree.
func (t *walkTree) list() (l []proctree.Process, settled bool, err error) {
	all, err := proctree.Scan()
	if err != nil {
		return nil, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l = t.service.Update(all)
	return l, !t.service.Unsettled(), nil
}

// Empty counts a zombie as gone: it waits for our own reaper, or its parent's.
func (t *walkTree) Empty() (bool, error) {
	l, settled, err := t.list()
	return err == nil && settled && len(l) == 0, err
}

func (t *walkTree) Kill() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), killRound)
	defer cancel()
	_, err := t.service.Kill(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // Wait says who is left
	}
	return err
}

// walkPause is the time between two looks at /proc; there is nothing to wait
// on for a whole tree without a cgroup.
const walkPause = 5 * time.Millisecond

func (t *walkTree) Wait(ctx context.Context) error {
	tick := time.NewTicker(walkPause)
	defer tick.Stop()
	for {
		if empty, err := t.Empty(); err != nil || empty {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *walkTree) Left() []int {
	l, _, err := t.list()
	if err != nil {
		return nil
	}
	var pids []int
	for _, p := range l {
		pids = append(pids, p.PID)
	}
	return pids
}

func (t *walkTree) Spare(pid int) error {
	p, err := proctree.Read(pid)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.service.Spare(p)
	return nil
}

func (t *walkTree) Path() string { return "" }
func (t *walkTree) Remove()      {}
