package probe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// tree is the processes of one run.
type tree interface {
	// kill kills all and returns nil when none is left, or an error after at
	// most killTime.
	kill() error
	// pids lists them; it may miss some.
	pids() []int
	// outOfMemory says whether the kernel has killed for want of memory.
	outOfMemory() bool
	remove()
}

// groupTree is a cgroup for one run.
type groupTree struct{ cgroup.Group }

// makeGroup makes a group beside that of the service, and kills what a dead
// supervisor has left in it. An error comes with the tree if there is one that
// cannot be killed.
func makeGroup(service, name string, memory int64) (groupTree, error) {
	beside, err := cgroup.Open(filepath.Dir(service))
	if err != nil {
		return groupTree{}, err
	}
	// Not taken over: into a group that has once been killed by cgroup.kill,
	// clone3(2) puts processes that are killed at once (seen with Linux 6.18).
	if old, err := cgroup.Open(filepath.Join(beside.Path(), name)); err == nil {
		t := groupTree{old}
		if err := errors.Join(t.kill(), t.Remove()); err != nil {
			return t, err
		}
	}
	g, err := beside.Make(name)
	if err != nil {
		return groupTree{}, err
	}
	t := groupTree{g}
	// Best effort: without the controller, which is the usual case, there are no
	// such files, and memory is looked at.
	t.set("memory.max", strconv.FormatInt(memory, 10))
	t.set("memory.swap.max", "0")
	t.set("memory.oom.group", "1")
	return t, nil
}

func (t groupTree) set(file, value string) {
	// Not WriteFile, which would make a file; nothing is made in a cgroup.
	f, err := os.OpenFile(filepath.Join(t.Path(), file), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteString(value)
}

func (t groupTree) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	if populated, err := t.Populated(); err == nil && !populated {
		return nil
	}
	return errors.Join(t.Kill(), t.WaitEmpty(ctx))
}

func (t groupTree) pids() []int {
	list, _ := t.Procs()
	return list
}

func (t groupTree) outOfMemory() bool {
	n, err := t.OOMKills()
	return err == nil && n > 0
}

func (t groupTree) remove() { _ = t.Remove() } // nobody is in it; the next run takes it over otherwise

// walkTree is what can be found without a cgroup: the session, descent, and the
// mark in the environment.
type walkTree struct{ *proctree.Service }

// reaper is who gets the orphans of a supervisor: the keeper, its parent.
var reaper = os.Getppid

func newWalkTree(name string) walkTree {
	return walkTree{proctree.NewService(markName+"="+name, reaper())}
}

func (t walkTree) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	_, err := t.Kill(ctx)
	return err
}

func (t walkTree) pids() []int {
	all, err := proctree.Scan()
	if err != nil {
		return nil
	}
	var list []int
	for _, p := range t.Update(all) {
		list = append(list, p.PID)
	}
	return list
}

func (walkTree) outOfMemory() bool { return false }
func (walkTree) remove()           {}

// memoryLook is how often memory is looked at.
const memoryLook = 100 * time.Millisecond

// memoryOf adds up what the processes use alone, in bytes: resident pages less
// those that are shared with files (statm in proc_pid_statm(5)).
func memoryOf(pids []int) (sum int64) {
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		fields := strings.Fields(string(text))
		if err != nil || len(fields) < 3 {
			continue
		}
		resident, err1 := strconv.ParseInt(fields[1], 10, 64)
		shared, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err1 == nil && err2 == nil && resident > shared {
			sum += (resident - shared) * int64(os.Getpagesize())
		}
	}
	return sum
}
