package signals

import (
	"syscall"
	"time"
)

// si_code of siginfo_t (sigaction(2)): which way a signal came.
const (
	CodeUser   int32 = 0    // kill(2)
	CodeTKill  int32 = -6   // tkill(2), tgkill(2)
	CodeQueue  int32 = -1   // sigqueue(3), rt_sigqueueinfo(2)
	CodeKernel int32 = 0x80 // the kernel, for instance a terminal
)

// Kernel is the command of a sender that is the kernel itself: its pid is 0.
const Kernel = "kernel"

// Sender is who sent a signal, as far as it is known.
type Sender struct {
	// PID is 0 when the kernel sent it, when the sender lives outside of our pid
	// namespace, and when nothing is known.
	PID int `json:"pid"`
	// UID is the real user of the sender, -1 when it is unknown.
	UID int `json:"uid"`
	// Command is the sender's comm of proc(5), at most 15 bytes, chosen by the
	// sender. It is empty when the sender was gone before it could be read.
	Command       string `json:"command"`
	Parent        int    `json:"parent"` // 0: unknown
	ParentCommand string `json:"parent_command"`
	// Forged says that PID and UID are only what the sender claims: the signal
	// came by a call that lets it write them, rt_sigqueueinfo(2). Command and
	// Parent are empty then.
	Forged bool `json:"forged"`
}

// Unknown is the sender of a signal of which nothing but the number is known.
var Unknown = Sender{UID: -1}

// Known reports whether the sender is known by name or number.
func (s Sender) Known() bool { return s.PID > 0 || s.Command != "" }

// Same reports whether two signals came from the same sender, by what came with
// them; a command may have been read once and not again. Pid 0 is anybody
// outside of our pid namespace, the kernel, or unknown.
func (s Sender) Same(o Sender) bool {
	return s.PID == o.PID && s.UID == o.UID && s.Forged == o.Forged && (s.PID != 0 || s.Command == o.Command)
}

// Record is one signal that arrived, or several that were merged because nobody
// took them in time.
type Record struct {
	Signal syscall.Signal
	Code   int32 // si_code
	Sender Sender
	Boot   time.Duration // CLOCK_BOOTTIME when the first was read
	Wall   time.Time     // the same instant, for display
	// Count is how many deliveries the record stands for, the first included, so
	// at least 1. What the kernel merged before delivery nobody can count.
	Count int
	// Unnamed is how many of Count may be of another sender than Sender: they
	// came when there was no room for a record of their own. A record with
	// Unnamed == Count has the sender Unknown.
	Unnamed int
}
