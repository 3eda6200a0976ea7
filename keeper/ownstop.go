package keeper

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// termPatience is how long a request to end waits for a supervisor that takes
// it, when there is none at the time.
const termPatience = 10 * time.Second

// ownStop is the keeper's own way to end all services, for when no supervisor
// is there to do it: stop signal to each, newest first, then SIGKILL.
type ownStop struct {
	kill time.Duration // when what is left is killed
}

func (s *ownStop) next() time.Duration {
	if s == nil {
		return 0
	}
	return s.kill
}

// stopAt plans the own stop. A supervisor that is in charge by then makes it
// unnecessary for now: the request has been told to it. One that is being
// replaced for the first time is waited for; one that fails again and again is
// not, be it in charge at times.
func (k *Keeper) stopAt(at time.Duration) { k.ownStopAt = at }

func (k *Keeper) goOnStopping(now time.Duration) {
	if k.ownStopAt > 0 && now >= k.ownStopAt {
		k.ownStopAt = 0
		switch {
		case k.quit != nil:
		case k.sup.ready || k.sup.failures < 2 && k.sup.everReady:
			k.stopAt(now + termPatience)
		default:
			k.beginOwnStop(now)
		}
	}
	if k.stopping != nil && k.quit == nil && (now >= k.stopping.kill || k.allGone()) {
		k.quit = &protocol.Quit{Status: exitSystem}
		k.stopping.kill = 0
	}
}

func (k *Keeper) allGone() bool {
	for _, c := range k.children {
		if c.exit == nil {
			return false
		}
	}
	return true
}

func (k *Keeper) beginOwnStop(now time.Duration) {
	fmt.Fprintln(os.Stderr, "vigil: no supervisor to be had; the keeper ends all services itself")
	k.abandonReload("the keeper ends all services")
	if k.sup.alive() {
		_ = k.sup.pidfd.Signal(syscall.SIGKILL)
	}
	k.stopping = &ownStop{kill: now + 1}
	for i := len(k.order) - 1; i >= 0; i-- {
		c := k.children[k.order[i]]
		c.again = false
		if c.exit != nil || c.pidfd < 0 || c.spec.Helper {
			continue
		}
		sig := syscall.SIGTERM
		if c.spec.StopSignal > 0 {
			sig = syscall.Signal(c.spec.StopSignal)
		}
		_ = pidfd.FD(c.pidfd).Signal(sig)
		k.stopping.kill = max(k.stopping.kill, now+c.spec.StopTimeout)
	}
}
