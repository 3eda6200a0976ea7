package keeper

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/spawn"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// supervisor is the process that decides, as the keeper sees it: a service
// like another, with a heartbeat (messages) and a back-off.
type supervisor struct {
	pid       int
	pidfd     pidfd.FD
	link      *link
	epoch     uint64 // of the newest granted one
	ready     bool   // it has recovered and is in charge
	everReady bool
	lastBeat  time.Duration
	startedAt time.Duration
	failures  int
	nextStart time.Duration // 0: none planned
}

// How long a supervisor may be silent, and how fast it is started again.
const (
	beatTimeout  = 20 * time.Second // it beats every 2 s; see supervisor
	healthyAfter = 10 * time.Second
	firstDelay   = 100 * time.Millisecond
	longestDelay = 5 * time.Second
)

func (s *supervisor) alive() bool { return s.pid != 0 }

func (s *supervisor) beatLimit() time.Duration {
	if !s.alive() {
		return 0
	}
	return s.lastBeat + beatTimeout
}

// startSupervisor starts one. Its descriptors 0 to 2 are ours.
func (k *Keeper) startSupervisor() error {
	conn, far, err := protocol.Pair()
	if err != nil {
		return err
	}
	defer far.Close()
	exe := k.opt.Executable
	if exe == "" {
		exe = "/proc/self/exe"
	}
	spec := spawn.New(exe)
	spec.Args = append([]string{"vigil"}, k.opt.Supervisor...)
	spec.Env = os.Environ()
	spec.Stdin, spec.Stdout, spec.Stderr = 0, 1, 2
	spec.Extra = []int{int(far.Fd())}
	k.inFlight++
	pid, fd, err := spawn.Start(spec)
	k.inFlight--
	if err != nil {
		conn.Close()
		return fmt.Errorf("cannot start supervisor: %w", err)
	}
	now := clock.Boot()
	k.sup = supervisor{
		pid: pid, pidfd: pidfd.FD(fd), epoch: k.sup.epoch, everReady: k.sup.everReady, failures: k.sup.failures,
		lastBeat: now, startedAt: now,
	}
	k.sup.link = newLink(conn, k.inbox, k.ctx.Done())
	k.kickReaper()
	if d, ok := k.early[pid]; ok {
		delete(k.early, pid)
		k.onSupervisorDeath(d)
	}
	return nil
}

// onSupervisorDeath decides what the end of a supervisor means: the answer to
// a Quit, a first start that cannot work (its words are on stderr, its status
// becomes ours), or a crash, after which there is another.
func (k *Keeper) onSupervisorDeath(d death) {
	if !d.ended() {
		return
	}
	ws := syscall.WaitStatus(d.exit.Status)
	uptime := clock.Boot() - k.sup.startedAt
	k.sup.link.close()
	k.sup.pidfd.Close()
	k.sup.pid, k.sup.link, k.sup.ready = 0, nil, false
	if k.quit != nil {
		return
	}
	if !k.sup.everReady && len(k.children) == 0 && ws.Exited() && ws.ExitStatus() != 0 {
		k.quit = &protocol.Quit{Status: ws.ExitStatus()}
		return
	}
	if uptime >= healthyAfter {
		k.sup.failures = 0
	}
	delay := time.Duration(0)
	if k.sup.failures > 0 {
		delay = min(firstDelay<<min(k.sup.failures-1, 10), longestDelay)
	}
	k.sup.failures++
	k.sup.nextStart = clock.Boot() + max(delay, 1)
	fmt.Fprintf(os.Stderr, "vigil: supervisor pid %d ended (%s); services run on, starting another in %v\n", d.pid, describeStatus(ws), delay)
	if !k.sup.everReady && k.sup.failures > maxFirstFailures && len(k.children) == 0 {
		k.quit = &protocol.Quit{Status: exitSystem}
	}
}

// maxFirstFailures is how often a supervisor that never worked is tried.
const maxFirstFailures = 5

// exitSystem is the exit status for what is not the user's doing.
const exitSystem = 111

func describeStatus(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "signal " + unix.SignalName(ws.Signal())
	}
	return fmt.Sprintf("status %d", ws.ExitStatus())
}

// superviseSupervisor starts one when it is time, and ends one that hangs.
func (k *Keeper) superviseSupervisor(now time.Duration) {
	switch {
	case k.sup.alive() && now >= k.sup.beatLimit():
		fmt.Fprintf(os.Stderr, "vigil: supervisor pid %d gave no sign for %v; ending it\n", k.sup.pid, beatTimeout)
		k.sup.lastBeat = now
		_ = k.sup.pidfd.Signal(syscall.SIGKILL)
	case !k.sup.alive() && k.quit == nil && k.stopping == nil && k.sup.nextStart > 0 && now >= k.sup.nextStart:
		k.sup.nextStart = 0
		if err := k.startSupervisor(); err != nil {
			k.sup.failures++
			k.sup.nextStart = now + longestDelay
			fmt.Fprintf(os.Stderr, "vigil: %v; trying again in %v\n", err, longestDelay)
		}
	}
}
