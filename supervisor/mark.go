package supervisor

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/internal/procbelong"
)

// home is where processes of a service are, whichever instance they belong to:
// the part of a cgroup's path that all its instances share, or, without a
// cgroup, the mark in their environment and the keeper they descend from.
type home struct {
	cgroup string // "/vigil-NAME.PID/SERVICE."
	mark   string // "VIGIL_INSTANCE=NAME/SERVICE#"
	keeper int
}

func (v *service) home() home {
	w := v.s.welcome
	h := home{mark: "VIGIL_INSTANCE=" + w.Name + "/" + v.cfg.Name + "#", keeper: w.KeeperPID}
	if w.Cgroup != "" {
		h.cgroup = "/" + filepath.Base(w.Cgroup) + "/" + v.cfg.Name + "."
	}
	return h
}

// maxEnviron bounds what is read of a process's environment or cgroup.
const maxEnviron = 1 << 20

// marked reports whether a process belongs to some instance of the service.
func marked(h home, pid int) bool {
	if pid <= 0 {
		return false
	}
	if h.cgroup != "" {
		b, err := limited.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid), maxEnviron)
		return err == nil && inGroup(string(b), h.cgroup)
	}
	b, err := limited.ReadFile(fmt.Sprintf("/proc/%d/environ", pid), maxEnviron)
	if err != nil || !bytes.Contains(append([]byte{0}, b...), append([]byte{0}, h.mark...)) {
		return false
	}
	ok, _ := procbelong.Tree(h.keeper).Belongs(pid, -1)
	return ok
}

// inGroup looks for an instance's group in the text of /proc/PID/cgroup: the
// shared part, then the number of the instance and the end of that name.
func inGroup(text, shared string) bool {
	for line := range strings.Lines(text) {
		path, v2 := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !v2 {
			continue
		}
		_, rest, found := strings.Cut(path, shared)
		number, _, _ := strings.Cut(rest, "/")
		return found && number != "" && strings.Trim(number, "0123456789") == ""
	}
	return false
}
