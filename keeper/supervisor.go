package keeper

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
)

// supervisor is the process that decides, as the keeper sees it: a service
// like another, with a heartbeat (messages) and a back-off.
type supervisor struct {
	pid       int
	pidfd     pidfd.FD
	link      *link
	version   string
	former    string // version of the one that was in charge before
	epoch     uint64 // of the newest granted one
	ready     bool   // it has recovered and is in charge
	retiring  bool   // it was asked to make room
	unlinked  bool   // its socket is gone
	ended     bool   // it was killed for its silence
	everReady bool
	over      bool          // its link has brought everything, to the end
	corpse    *death        // it is dead; what it had sent before is taken first
	corpseEnd time.Duration // when that is not waited for any more
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

// beatLimit is when the supervisor's silence becomes too long, 0: there is none.
func (k *Keeper) beatLimit() time.Duration {
	switch {
	case !k.sup.alive():
		return 0
	case k.sup.corpse != nil:
		return k.sup.corpseEnd
	}
	return k.sup.lastBeat + k.beatTimeout()
}

// lastVersion is the version that was in charge last.
func (s *supervisor) lastVersion() string {
	if s.version != "" {
		return s.version
	}
	return s.former
}

// startSupervisor starts one, from the program that the last good one came
// from.
func (k *Keeper) startSupervisor() error {
	k.inFlight++
	defer k.startDone()
	next, err := k.spawnSupervisor(k.exe, k.opt.Supervisor)
	if err != nil {
		return err
	}
	next.epoch, next.everReady, next.failures, next.former = k.sup.epoch, k.sup.everReady, k.sup.failures, k.sup.lastVersion()
	k.sup = next
	k.sup.link.serve(k.inbox, k.ctx.Done())
	if d, ok := k.early[k.sup.pid]; ok {
		delete(k.early, k.sup.pid)
		k.onSupervisorDeath(d)
	}
	return nil
}

// recordSupervisor lets a successor of ours know whom to wait for.
func (k *Keeper) recordSupervisor() {
	if ticks, err := pidfd.StartTicks(k.sup.pid); err == nil {
		k.records.supervisor(k.sup, ticks)
	}
}

// startDone counts a start as announced. With none under way every end that
// nobody knew is an orphan's.
func (k *Keeper) startDone() {
	if k.inFlight--; k.inFlight == 0 {
		clear(k.early)
	}
}

// onSupervisorDeath decides what the end of a supervisor means: the answer to
// a Quit, a first start that cannot work (its words are on stderr, its status
// becomes ours), or a crash, after which there is another.
func (k *Keeper) onSupervisorDeath(d death) {
	if !d.ended() || !k.sup.heard(d) {
		return
	}
	ws := syscall.WaitStatus(d.exit.Status)
	uptime := clock.Boot() - k.sup.startedAt
	retired := k.sup.retiring
	k.sup.release()
	k.sup = supervisor{
		version: k.sup.version, former: k.sup.former, epoch: k.sup.epoch, everReady: k.sup.everReady, failures: k.sup.failures,
	}
	if k.quit != nil {
		return
	}
	k.demandsLost()
	if r := k.reload; r != nil && r.stage == waiting {
		k.promote()
		return
	}
	if k.reload == nil && !retired {
		k.countCrash(uptime, describeStatus(ws))
	}
	if r := k.reload; r != nil && r.stage == taking {
		k.fallBack(fmt.Sprintf("the new supervisor ended with %s before it was in charge", describeStatus(ws)))
	}
	if !k.sup.everReady && len(k.children) == 0 && ws.Exited() && ws.ExitStatus() != 0 {
		k.quit = &protocol.Quit{Status: ws.ExitStatus()}
		return
	}
	if uptime >= healthyAfter || retired {
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

// lastWords is how long what a dead supervisor had sent may take to be read.
// Its end closes its socket, so it is there already.
const lastWords = time.Second

// heard reports whether all that a dead supervisor had sent has been taken:
// the wish to quit, say, must not be overtaken by the death that follows it. If
// not, the death waits for the end of the link.
func (s *supervisor) heard(d death) (done bool) {
	if s.over {
		return true
	}
	if s.corpse == nil {
		s.corpse, s.corpseEnd = &d, clock.Boot()+lastWords
		return false
	}
	return clock.Boot() >= s.corpseEnd
}

// maxFirstFailures is how often a supervisor that never worked is tried.
const maxFirstFailures = 5

// exitSystem is the exit status for what is not the user's doing.
const exitSystem = 111

func describeStatus(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "signal " + signals.Name(ws.Signal())
	}
	return fmt.Sprintf("status %d", ws.ExitStatus())
}

// supervisorDue is when the next one is to be started, 0: not by time. While
// a candidate is tried none is: it will be the next one, or its end lets
// another start.
func (k *Keeper) supervisorDue() time.Duration {
	if k.sup.alive() || k.quit != nil || k.stopping != nil || k.reload != nil || k.hang != nil {
		return 0
	}
	return k.sup.nextStart
}

// superviseSupervisor starts one when it is time, and ends one that hangs.
func (k *Keeper) superviseSupervisor(now time.Duration) {
	switch {
	case k.sup.corpse != nil && now >= k.sup.corpseEnd:
		k.onSupervisorDeath(*k.sup.corpse)
	case k.sup.corpse == nil && k.sup.alive() && now >= k.beatLimit():
		k.onSilence(now)
	case k.supervisorDue() > 0 && now >= k.supervisorDue():
		k.sup.nextStart = 0
		if err := k.startSupervisor(); err != nil {
			k.sup.failures++
			k.sup.nextStart = now + longestDelay
			fmt.Fprintf(os.Stderr, "vigil: %v; trying again in %v\n", err, longestDelay)
		}
	}
}
