package keeper

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/manager"
)

// serviceManager is the link to whoever started the keeper, and what was told
// it. What it is told follows from the state of the keeper, once for each turn
// of the loop: a loop that hangs feeds no watchdog. The loop owns it; without a
// service manager nothing here does anything.
type serviceManager struct {
	*manager.Manager

	ready    bool
	stopping bool
	reload   *reload       // the one that was announced
	pingAt   time.Duration // when the watchdog is fed next
	extendAt time.Duration // when more time to stop is asked for next
	extendTo time.Duration // when that ends: what takes longer than this will not end
	running  int           // processes told in the status
	statusAt time.Duration // the status is not told before
	failed   error         // the newest failure, told once

	generation uint64            // of the newest stored descriptor
	names      map[string]string // kept file -> its name in the store
}

// Times of what the service manager is told.
const (
	statusGap    = time.Second      // least time between two status lines
	extendBy     = 30 * time.Second // how much time is asked for at once
	extendEvery  = 10 * time.Second
	extendBeyond = time.Minute // beyond the sum of all stop time-outs: processes in state D
)

// openManager is to be called before anything is started: what the service
// manager has put into our environment is not true of children.
func (k *Keeper) openManager() {
	m, err := manager.Open()
	if err != nil {
		fmt.Fprintf(os.Stderr, "vigil: %v\n", err)
	}
	k.manager = serviceManager{Manager: m, names: map[string]string{}}
}

// note tells of the first failure of a row of them.
func (m *serviceManager) note(err error) {
	if err != nil && m.failed == nil {
		fmt.Fprintf(os.Stderr, "vigil: %v\n", err)
	}
	m.failed = err
}

// tellManager tells the service manager what has changed.
func (k *Keeper) tellManager(now time.Duration) {
	m := &k.manager
	if !m.Present() {
		return
	}
	if w := m.WatchdogInterval(); w > 0 && now >= m.pingAt {
		m.pingAt = now + w/3
		m.note(m.Ping())
	}
	switch {
	case k.ending():
		k.tellStopping(now)
	case k.reload != nil && k.reload != m.reload && m.ready:
		m.reload = k.reload
		m.note(m.Reloading())
	case k.reload == nil && m.reload != nil, !m.ready && k.sup.ready:
		// However a reload ended, it is over.
		m.ready, m.reload = true, nil
		m.note(m.Ready(k.status(now)))
	case m.ready && len(k.byPID) != m.running && now >= m.statusAt:
		m.note(m.Status(k.status(now)))
	}
}

// ending reports whether vigil was asked to end, or does.
func (k *Keeper) ending() bool { return k.ownStopAt > 0 || k.quit != nil || k.stopping != nil }

func (k *Keeper) tellStopping(now time.Duration) {
	m := &k.manager
	if !m.stopping {
		m.stopping = true
		m.extendTo = now + extendBeyond
		for _, c := range k.children {
			if c.exit == nil {
				m.extendTo += c.spec.StopTimeout
			}
		}
		m.note(m.Stopping())
	}
	if now >= m.extendAt && now < m.extendTo {
		m.extendAt = now + extendEvery
		m.note(m.ExtendTimeout(extendBy))
	}
}

// status is the line of `systemctl status`.
func (k *Keeper) status(now time.Duration) string {
	k.manager.running, k.manager.statusAt = len(k.byPID), now+statusGap
	n := 0
	for _, c := range k.byPID {
		if !c.spec.Helper {
			n++
		}
	}
	return fmt.Sprintf("%d running, supervisor pid %d, version %s", n, k.sup.pid, k.sup.version)
}

// managerDue is when the service manager has to be told something, 0: not by
// time.
func (k *Keeper) managerDue() (at time.Duration) {
	m := &k.manager
	if !m.Present() {
		return 0
	}
	if m.WatchdogInterval() > 0 {
		at = max(m.pingAt, 1)
	}
	next := time.Duration(0)
	switch {
	case k.ending() && m.extendAt < m.extendTo:
		next = m.extendAt
	case m.ready && !k.ending() && len(k.byPID) != m.running:
		next = max(m.statusAt, 1)
	}
	if next > 0 && (at == 0 || next < at) {
		at = next
	}
	return at
}

// farewell is how long the end waits for the service manager to read that
// nothing is to be kept.
const farewell = 2 * time.Second

// leaveManager empties the store: an orderly end leaves nothing to adopt.
func (k *Keeper) leaveManager() {
	m := &k.manager
	for _, c := range k.children {
		k.unstoreChild(c)
	}
	for name := range k.files {
		k.unstoreFile(name)
	}
	if err := m.Barrier(farewell); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		m.note(err)
	}
	if n, err := m.Lost(); n > 0 {
		fmt.Fprintf(os.Stderr, "vigil: %d messages to the service manager were lost: %v\n", n, err)
	}
	m.Close()
}

// nextGeneration makes a stored name unlike that of what it replaces: both may
// be there for a moment, and the higher one counts.
func (m *serviceManager) nextGeneration() uint64 {
	m.generation = max(m.generation+1, uint64(clock.Boot()))
	return m.generation
}
