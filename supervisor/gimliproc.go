package supervisor

import (
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/internal/procbelong"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// faultSignals are those of which libgimli has handlers.
const faultSignals uint64 = 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGABRT-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGILL-1) | 1<<(unix.SIGFPE-1)

// faultOf finds the fault signal that a stopped process has a handler of
// libgimli at work for: the handler has given the signal its default disposition
// back, and while it runs its thread blocks that signal (sigaction(2); SigCgt and
// SigBlk of /proc/PID/task/TID/status, proc(5)). A program that an operator has
// stopped still catches all of them.
func faultOf(pid int) (name string, inHandler bool) {
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	dir, err := os.Open(tasks)
	if err != nil {
		return "", false
	}
	defer dir.Close()
	threads, _ := dir.Readdirnames(maxLightThreads) // some of them are better than none
	for _, tid := range threads {
		text, err := readShort(filepath.Join(tasks, tid, "status"))
		if err != nil {
			continue
		}
		status := lines(text)
		if in := faultSignals & mask(status, "SigBlk") &^ mask(status, "SigCgt") &^ mask(status, "SigIgn"); in != 0 {
			return signals.Name(unix.Signal(bits.TrailingZeros64(in) + 1)), true
		}
	}
	return "", false
}

// mask is a set of signals in /proc/PID/status: signal n is bit n-1.
func mask(status []string, name string) uint64 {
	n, _ := strconv.ParseUint(field(status, name), 16, 64)
	return n
}

// stoppedMembers lists the processes of a service that are stopped.
func stoppedMembers(m *procbelong.Members) []int {
	all, err := proctree.Scan()
	if err != nil || m == nil {
		return nil
	}
	var pids []int
	for pid, p := range all {
		if !p.Stopped {
			continue
		}
		if ok, _ := m.Belongs(pid, -1); ok {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids[:min(len(pids), maxStopped)]
}

// maxStopped bounds how many processes of one service are captured at a time.
const maxStopped = 8

// checkAttached warns of a program that has attached below the main process: its
// fault would end the shell that waits for it.
func (v *service) checkAttached() {
	pid, instance := v.started.PID, v.life.Instance
	go func() {
		text, err := limited.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "maps"), maxMaps)
		if err != nil {
			return
		}
		if _, own := mappingOf(text, watchdog.GimliPageName); own {
			return
		}
		comm, _ := readShort(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
		v.s.post(func() {
			if v.life.Instance == instance && v.life.Alive {
				v.s.event(v.cfg.Name, "alert", fmt.Sprintf("a process below pid %d (%s) has attached to libgimli, and at a fault it takes that one for its monitor; "+
					"start the program itself, or by exec", pid, strings.TrimSpace(string(comm))))
			}
		})
	}()
}
