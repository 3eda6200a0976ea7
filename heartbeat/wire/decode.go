package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The reasons for which a whole datagram is refused.
var (
	ErrEmpty    = errors.New("wire: empty datagram")
	ErrTooLarge = errors.New("wire: datagram larger than 64 KiB")
	ErrNUL      = errors.New("wire: NUL byte in datagram")
	ErrTooMany  = errors.New("wire: more than 64 assignments in datagram")
)

// Decode reads one datagram of sd_notify(3). The error, one of Err..., says
// why the whole datagram is refused; single bad assignments are listed in
// Message.Invalid instead. One NUL byte at the very end is tolerated as
// systemd does, since C programs send sizeof(buffer) bytes. The message does
// not refer to b.
func Decode(b []byte) (Message, error) {
	var m Message
	if len(b) > MaxDatagram {
		return m, fmt.Errorf("cannot decode %d bytes: %w", len(b), ErrTooLarge)
	}
	if n := len(b); n > 0 && b[n-1] == 0 {
		b = b[:n-1]
	}
	if at := bytes.IndexByte(b, 0); at >= 0 {
		return m, fmt.Errorf("cannot decode byte %d: %w", at, ErrNUL)
	}
	count := 0
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		if len(line) == 0 {
			continue
		}
		if count++; count > MaxAssignments {
			return Message{}, ErrTooMany
		}
		name, value, ok := bytes.Cut(line, []byte{'='})
		if !ok {
			m.Unknown++
			continue
		}
		m.assign(string(name), string(value))
	}
	if count == 0 {
		return m, ErrEmpty
	}
	return m, nil
}

// assign applies one assignment to m.
func (m *Message) assign(name, value string) {
	switch name {
	case "READY":
		m.flag(&m.Ready, name, value)
	case "RELOADING":
		m.flag(&m.Reloading, name, value)
	case "STOPPING":
		m.flag(&m.Stopping, name, value)
	case "BARRIER":
		m.flag(&m.Barrier, name, value)
	case "RESTART_RESET":
		m.flag(&m.RestartReset, name, value)
	case "WATCHDOG":
		if value == "trigger" {
			m.Trigger = true
			return
		}
		m.flag(&m.Beat, name, value)
	case "X_VIGIL_BEAT":
		m.activity(&m.Beats, name, value)
	case "X_VIGIL_IDLE":
		m.activity(&m.Idles, name, value)
	case "FDSTORE", "FDSTOREREMOVE", "FDNAME", "FDPOLL", "MAINPIDFD", "MAINPIDFDID":
		if !slices.Contains(m.Unsupported, name) {
			m.Unsupported = append(m.Unsupported, name)
		}
	default:
		m.value(name, value)
	}
}

// value applies the assignments that carry a number or a text.
func (m *Message) value(name, value string) {
	switch name {
	case "STATUS":
		m.text(&m.Status, HasStatus, value, MaxStatus)
	case "BUSERROR":
		m.text(&m.BusError, HasBusError, value, maxError)
	case "VARLINKERROR":
		m.text(&m.VarlinkError, HasVarlinkError, value, maxError)
	case "ERRNO":
		m.number(&m.Errno, HasErrno, name, value, 0, maxErrno)
	case "EXIT_STATUS":
		m.number(&m.ExitStatus, HasExitStatus, name, value, 0, 255)
	case "MAINPID":
		m.number(&m.MainPID, HasMainPID, name, value, 1, maxPID)
	case "MONOTONIC_USEC":
		// A clock, not an interval: a machine may run for more than a year.
		m.usec(&m.Monotonic, HasMonotonic, name, value, 100*MaxInterval)
	case "WATCHDOG_USEC":
		m.usec(&m.Watchdog, HasWatchdog, name, value, MaxInterval)
	case "EXTEND_TIMEOUT_USEC":
		m.usec(&m.Extend, HasExtend, name, value, MaxInterval)
	case "NOTIFYACCESS":
		m.access(value)
	default:
		m.Unknown++
	}
}

func (m *Message) flag(f *bool, name, value string) {
	if value != "1" {
		m.invalid(name, value, "want 1")
		return
	}
	*f = true
}

func (m *Message) text(s *string, has Field, value string, limit int) {
	*s = CleanText(value, limit)
	m.Set |= has
}

func (m *Message) number(n *int, has Field, name, value string, low, high uint64) {
	// ParseUint refuses signs, spaces and, in base 10, underscores.
	v, err := strconv.ParseUint(value, 10, 64)
	if err != nil || v < low || v > high {
		m.invalid(name, value, fmt.Sprintf("want a number from %d to %d", low, high))
		return
	}
	*n = int(v)
	m.Set |= has
}

func (m *Message) usec(d *time.Duration, has Field, name, value string, limit time.Duration) {
	v, err := strconv.ParseUint(value, 10, 64)
	if err != nil || v > uint64(limit/time.Microsecond) {
		m.invalid(name, value, fmt.Sprintf("want microseconds, at most %d", limit/time.Microsecond))
		return
	}
	*d = time.Duration(v) * time.Microsecond
	m.Set |= has
}

func (m *Message) access(value string) {
	switch value {
	case "none", "main", "exec", "all":
		m.NotifyAccess = value
		m.Set |= HasNotifyAccess
	default:
		m.invalid("NOTIFYACCESS", value, "want none, main, exec or all")
	}
}

func (m *Message) activity(list *[]string, assignment, name string) {
	if !ValidBeatName(name) {
		m.invalid(assignment, name, "want 1 to 64 letters, digits and . _ - : / @")
		return
	}
	*list = append(*list, name)
}

// invalid notes a refused value; at most MaxAssignments of them, each short.
func (m *Message) invalid(name, value, want string) {
	m.Invalid = append(m.Invalid, fmt.Sprintf("%s=%q: %s", name, CleanText(value, 32), want))
}

// ValidBeatName says whether name may name an activity: 1 to MaxBeatName
// ASCII letters, digits and . _ - : / @
func ValidBeatName(name string) bool {
	if name == "" || len(name) > MaxBeatName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("._-:/@", c) >= 0:
		default:
			return false
		}
	}
	return true
}
