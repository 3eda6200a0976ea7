// Package manager is the link of this process to the service manager that
// started it: systemd, or anything else that speaks sd_notify(3), or none.
//
// What the service manager says of its service, and what it keeps for it, goes
// through here: readiness, reloads, the watchdog, and the descriptor store in
// which descriptors outlive this process. Without a service manager every
// method does nothing and returns nil, so that callers need not ask.
//
// github.com/coreos/go-systemd reads the environment; its SdNotify sends no
// descriptors and has no barrier (v22.7.0), so the sender is our own.
package manager

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the link. Its methods may be called from several goroutines; none
// but Barrier and Close waits for anything.
type Manager struct {
	link     *link // nil: there is no service manager
	watchdog time.Duration
	store    *store
	stored   map[string][]*os.File
}

// Open reads what a service manager has put into the environment and removes it
// from there, since it is not true of our children: NOTIFY_SOCKET,
// WATCHDOG_USEC, WATCHDOG_PID, FDSTORE, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES
// and LISTEN_PIDFDID. It is to be called once, before anything else starts
// processes. The Manager is usable also if there is an error, which says what
// of the environment was not; that is then as if it were not there.
func Open() (*Manager, error) {
	m := &Manager{}
	var errs [4]error
	m.link, errs[0] = dialEnvironment()
	m.watchdog, errs[1] = daemon.SdWatchdogEnabled(true)
	m.stored, errs[2] = takeStored()
	m.store, errs[3] = takeStore(m.stored)
	if err := errors.Join(errs[:]...); err != nil {
		return m, fmt.Errorf("cannot use all of the service manager's environment: %w", err)
	}
	return m, nil
}

// Present says whether there is a service manager that listens to us.
func (m *Manager) Present() bool { return m.link != nil }

// Lost is how many queued messages could not be sent in the end, and why the
// last of them could not.
func (m *Manager) Lost() (uint64, error) {
	if m.link == nil {
		return 0, nil
	}
	return m.link.losses()
}

// Close drops what is still queued and closes the link. A Barrier before it
// waits for the queue. Descriptors given out by Stored stay the caller's.
func (m *Manager) Close() {
	if m.link != nil {
		m.link.close()
	}
}
