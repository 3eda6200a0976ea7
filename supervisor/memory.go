package supervisor

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/kmsg"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// clockSlack is how far the kernel's log, which counts by the clock of a
// processor, can be from ours.
const clockSlack = time.Second

// killerOf tells a kill of the kernel, for memory, from anybody else's: both are
// SIGKILL, and the status of the end does not say which. The proof is the kernel's
// log, which names the process, or the count of the instance's own cgroup, which
// names none.
func (v *service) killerOf(end lifecycle.End, e *protocol.Exit) (cause snapshot.Cause, proof string) {
	if end.Signal != int(syscall.SIGKILL) || e == nil || e.Unknown {
		return snapshot.CauseNone, ""
	}
	// The log counts without the time that the machine was suspended.
	var awake unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake) // cannot fail for this clock
	since := v.started.Boot - (clock.Boot() - time.Duration(awake.Nano())) - clockSlack
	if text, err := kmsg.OOMKill(v.started.PID, since); text != "" {
		return snapshot.CauseOOM, "the kernel killed it for memory: " + text
	} else if err != nil {
		v.s.log.Debug(err.Error())
	}
	if v.started.Cgroup == "" {
		return snapshot.CauseNone, ""
	}
	g, err := cgroup.Open(v.started.Cgroup)
	if err != nil {
		return snapshot.CauseNone, ""
	}
	if n, err := g.OOMKills(); err == nil && n > 0 {
		return snapshot.CauseOOM, fmt.Sprintf("the kernel killed it for memory: oom_kill %d in memory.events of its cgroup", n)
	}
	return snapshot.CauseNone, ""
}
