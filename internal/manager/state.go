package manager

import (
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/vigil-supervisor/vigil/internal/harmless"
)

// maxStatus is the longest status text, in bytes.
const maxStatus = 1024

// Ready says that the start, or a reload, is done (READY=1), with one line for
// `systemctl status`.
func (m *Manager) Ready(status string) error {
	return m.tell(daemon.SdNotifyReady, statusLine(status))
}

// Status sets the line of `systemctl status` (STATUS=).
func (m *Manager) Status(text string) error {
	return m.tellLatest("status", statusLine(text))
}

// Reloading says that a reload begins (RELOADING=1). Ready ends it, whether the
// reload succeeded or not: systemd waits for nothing else. Type=notify-reload
// (systemd 253) needs the time, too, to tell this reload from an earlier one.
func (m *Manager) Reloading() error {
	// The library ends it with a newline, and it is empty without the clock.
	return m.tell(daemon.SdNotifyReloading, strings.TrimSuffix(daemon.SdNotifyMonotonicUsec(), "\n"))
}

// Stopping says that we are ending (STOPPING=1).
func (m *Manager) Stopping() error { return m.tell(daemon.SdNotifyStopping) }

// MainPID says that another process is the main one from now on (MAINPID=).
func (m *Manager) MainPID(pid int) error { return m.tell("MAINPID=" + strconv.Itoa(pid)) }

// ExtendTimeout asks for d from now on for the start, the reload or the stop
// that is under way (EXTEND_TIMEOUT_USEC=). It extends, it never shortens, and
// has to be repeated before d is over.
func (m *Manager) ExtendTimeout(d time.Duration) error {
	return m.tell("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(max(d.Microseconds(), 0), 10))
}

// WatchdogInterval is how often the service manager wants a Ping at least; 0:
// never. A ping is due after half of it.
func (m *Manager) WatchdogInterval() time.Duration { return m.watchdog }

// Ping feeds the watchdog (WATCHDOG=1), if there is one.
func (m *Manager) Ping() error {
	if m.watchdog == 0 {
		return nil
	}
	return m.tellLatest("watchdog", daemon.SdNotifyWatchdog)
}

func (m *Manager) tell(lines ...string) error { return m.tellLatest("", lines...) }

// tellLatest sends a message of which only the latest of its kind counts.
func (m *Manager) tellLatest(kind string, lines ...string) error {
	if m.link == nil {
		return nil
	}
	return m.link.send(message{text: strings.Join(lines, "\n"), kind: kind})
}

// statusLine keeps what others wrote, such as names of services, from becoming
// assignments of their own.
func statusLine(text string) string {
	text = harmless.Text(text, nil)
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus-len("...")], "") + "..."
	}
	return "STATUS=" + text
}
