package wire

import "time"

// The bounds of a datagram.
const (
	// MaxDatagram is the largest datagram that is decoded, in bytes. systemd
	// takes 4 KiB; the rest is room for many named beats.
	MaxDatagram = 64 << 10
	// MaxAssignments is how many assignments one datagram may hold.
	MaxAssignments = 64
	// MaxStatus is the longest STATUS text that is kept, in bytes; longer
	// ones are cut at a character.
	MaxStatus = 1 << 10
	// MaxBeatName is the longest name in X_VIGIL_BEAT, in bytes.
	MaxBeatName = 64
	// MaxInterval is the longest time that a service may ask for.
	MaxInterval = 365 * 24 * time.Hour

	maxError = 256     // bytes kept of BUSERROR and VARLINKERROR
	maxErrno = 4095    // MAX_ERRNO of the kernel
	maxPID   = 1 << 22 // PID_MAX_LIMIT of a 64-bit kernel
)

// Field is a set of the assignments in a Message whose value may be the zero
// value, so that presence must be told apart from it.
type Field uint16

// The members of a Field.
const (
	HasStatus Field = 1 << iota
	HasErrno
	HasBusError
	HasVarlinkError
	HasExitStatus
	HasMainPID
	HasMonotonic
	HasWatchdog
	HasExtend
	HasNotifyAccess
)

// Has says whether all fields of f are in the set.
func (s Field) Has(f Field) bool { return s&f == f }

// Message is one decoded datagram. When an assignment occurs twice the last
// one counts, except for beats, which are all kept.
type Message struct {
	Ready        bool // READY=1: started, or a reload is done
	Reloading    bool // RELOADING=1, to be followed by READY=1
	Stopping     bool // STOPPING=1
	Beat         bool // WATCHDOG=1
	Trigger      bool // WATCHDOG=trigger: the service says that it is broken
	Barrier      bool // BARRIER=1: its descriptor is closed when all before it is handled
	RestartReset bool // RESTART_RESET=1: forget the restarts so far

	Set          Field         // which of the following were given
	Status       string        // STATUS, at most MaxStatus bytes, without control characters
	Errno        int           // ERRNO, 0 to 4095
	BusError     string        // BUSERROR, cleaned like Status, at most 256 bytes
	VarlinkError string        // VARLINKERROR, the same
	ExitStatus   int           // EXIT_STATUS, 0 to 255
	MainPID      int           // MAINPID, at least 1; a claim, to be checked by whoever acts on it
	Monotonic    time.Duration // MONOTONIC_USEC, CLOCK_MONOTONIC of the sender
	Watchdog     time.Duration // WATCHDOG_USEC, the new interval; 0 turns it off
	Extend       time.Duration // EXTEND_TIMEOUT_USEC, from now on
	NotifyAccess string        // NOTIFYACCESS: none, main, exec or all

	Beats []string // the names of X_VIGIL_BEAT, valid ones only
	Idles []string // the names of X_VIGIL_IDLE, valid ones only

	// Unsupported names the assignments that systemd would obey and vigil
	// does not (FDSTORE and its kin, MAINPIDFD), each once.
	Unsupported []string
	// Invalid says which known assignments had a value that was refused,
	// and why. The other assignments of the datagram still count: a bad
	// ERRNO must not cost the service the beat beside it.
	Invalid []string
	// Unknown counts the assignments that nobody knows and the lines
	// without '='. They are ignored, as sd_notify(3) asks.
	Unknown int
}

// OnlyBeat says that the datagram is WATCHDOG=1 and nothing else.
func (m *Message) OnlyBeat() bool {
	if !m.Beat || m.Unknown > 0 || len(m.Invalid) > 0 || len(m.Unsupported) > 0 {
		return false
	}
	rest := *m
	rest.Beat = false
	return rest.Empty()
}

// Empty says that the datagram told nothing that vigil acts on.
func (m *Message) Empty() bool {
	return !m.Ready && !m.Reloading && !m.Stopping && !m.Beat && !m.Trigger &&
		!m.Barrier && !m.RestartReset && m.Set == 0 && len(m.Beats) == 0 && len(m.Idles) == 0
}
