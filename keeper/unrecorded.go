package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// withUnrecorded adds to the records what only the service manager or a cgroup
// tells of, as when the runtime directory was full: a service that nobody knows
// of would be started a second time. Without a cgroup and a service manager a
// service without a record is not found.
func (k *Keeper) withUnrecorded(list []record, stored map[string]*storedChild) []record {
	known := map[string]bool{}
	for _, rec := range list {
		known[protocol.ID(rec.Key, rec.Instance)] = true
	}
	for _, rec := range k.groupsLeft() {
		if id := protocol.ID(rec.Key, rec.Instance); !known[id] && len(list) < maxChildren {
			known[id] = true
			list = append(list, rec)
		}
	}
	for id, s := range stored {
		if known[id] {
			continue
		}
		rec, err := s.record(k.records.boot)
		if err != nil || len(list) >= maxChildren {
			fmt.Fprintf(os.Stderr, "vigil: cannot adopt %s, which the service manager knows of: %v\n", id, err)
			k.dropStored(s)
			delete(stored, id)
			continue
		}
		list = append(list, rec)
	}
	return list
}

// groupsLeft makes up records from the groups of dead keepers of this name: the
// path is DIRECTORY/vigil-NAME.PID/KEY.INSTANCE. What is in there is found as
// after a start whose end nobody saw.
func (k *Keeper) groupsLeft() (list []record) {
	if k.cgroups == nil {
		return nil
	}
	own := k.cgroups.Path()
	for _, dir := range k.groupsOfDead(filepath.Dir(own)) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			at := strings.LastIndexByte(e.Name(), '.')
			if at <= 0 || !e.IsDir() {
				continue
			}
			instance, err := strconv.ParseUint(e.Name()[at+1:], 10, 64)
			if err != nil {
				continue
			}
			path := filepath.Join(dir, e.Name())
			if g, err := cgroup.Open(path); err != nil {
				continue
			} else if populated, err := g.Populated(); err != nil || !populated {
				_ = g.Remove()
				continue
			}
			list = append(list, record{Boot: k.records.boot, Key: e.Name()[:at], Instance: instance, Starting: true, Cgroup: path})
		}
	}
	return list
}

// groupsOfDead lists the groups in dir that keepers of this name left when they
// were killed.
func (k *Keeper) groupsOfDead(dir string) (paths []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, ours := strings.CutPrefix(e.Name(), "vigil-"+k.opt.Name+".")
		// A pid of another namespace says nothing to us.
		pid, same := strings.CutSuffix(pid, namespaceSuffix())
		n, err := strconv.Atoi(pid)
		if !ours || !same || err != nil || n == k.pid {
			continue
		}
		if p, err := proctree.Read(n); err != nil || p.Zombie {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// outputPipes are the inodes of the pipes that a process has as its stdout and
// stderr, 0 for one that is no pipe.
func outputPipes(pid int) (inodes [2]uint64) {
	for i, number := range []string{"1", "2"} {
		var st unix.Stat_t
		if unix.Stat("/proc/"+strconv.Itoa(pid)+"/fd/"+number, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
			inodes[i] = st.Ino
		}
	}
	return inodes
}
