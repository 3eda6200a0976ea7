package keeper

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/vigil-supervisor/vigil/signals/early"
	"github.com/vigil-supervisor/vigil/signals/intake"
)

// takeSignals makes the keeper the place that receives signals. The handlers
// may stand already: signals/early puts them there before main.
func takeSignals() (*intake.Intake, error) {
	// Go ends a program that writes to a broken pipe on descriptor 1 or 2; a
	// terminal or a log reader that goes away must not take the keeper with it.
	// Children start with every disposition at its default (spawn).
	signal.Ignore(syscall.SIGPIPE)
	return early.Intake()
}

// cgroupOf returns the path of a process's cgroup v2 below its mount, "" when it
// cannot be told.
func cgroupOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(b) {
		if path, ok := bytes.CutPrefix(line, []byte("0::")); ok {
			return string(bytes.TrimSpace(path))
		}
	}
	return ""
}

// inside reports whether path, as /proc/PID/cgroup shows it, is the group with
// the directory dir or below it: the mount point before it is not in path.
func inside(dir, path string) bool {
	for p := path; len(p) > 1; {
		if strings.HasSuffix(dir, p) {
			return true
		}
		i := strings.LastIndexByte(p, '/')
		if i <= 0 {
			return false
		}
		p = p[:i]
	}
	return false
}
