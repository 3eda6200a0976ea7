package supervisor

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// maxProcesses bounds the processes of one service that are looked at.
const maxProcesses = 4096

// tree is where the processes of a running instance are, for goroutines beside
// the loop.
type tree struct {
	main   int
	cgroup string // "" without one: the descendants of main
	alone  bool   // main only
}

func (v *service) tree() tree { return tree{main: v.started.PID, cgroup: v.started.Cgroup} }

// pids lists the processes of the instance; none when it is gone.
func (t tree) pids() (pids []int, err error) {
	switch {
	case t.alone:
		return []int{t.main}, nil
	case t.cgroup != "":
		g, err := cgroup.Open(t.cgroup)
		if err == nil {
			pids, err = g.Procs()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	default:
		all, err := proctree.Scan()
		if err != nil {
			return nil, err
		}
		for _, p := range all.Descendants(t.main) {
			pids = append(pids, p.PID)
		}
	}
	if len(pids) > maxProcesses {
		return pids[:maxProcesses], fmt.Errorf("only %d of %d processes are looked at", maxProcesses, len(pids))
	}
	return pids, nil
}

// mayTakeSignal reports whether a signal reaches a process that is there to
// stay: not one that is held for its capture or on its way out.
func (v *service) mayTakeSignal() bool {
	switch v.life.State {
	case lifecycle.Starting, lifecycle.Running, lifecycle.Suspect:
		return v.life.Alive && v.started.PID > 0
	}
	return false
}
