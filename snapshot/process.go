package snapshot

import "time"

// Process is a process as /proc showed it, process.json. What could not be
// read is absent, and Denied says why.
type Process struct {
	Schema      int       `json:"schema"`
	PID         int       `json:"pid"`
	Taken       time.Time `json:"taken,omitzero"` // when it was read, wall clock, UTC
	PPID        int       `json:"ppid"`
	Comm        string    `json:"comm"`
	Exe         string    `json:"exe,omitempty"`
	Cwd         string    `json:"cwd,omitempty"`
	Command     []string  `json:"command,omitempty"`     // secrets masked
	Environment []string  `json:"environment,omitempty"` // NAME=value, secrets masked
	State       string    `json:"state"`                 // as in /proc/PID/stat: R S D T t Z
	UID         int       `json:"uid"`
	GID         int       `json:"gid"`
	StartTicks  uint64    `json:"start_ticks"`  // field 22 of /proc/PID/stat, USER_HZ since boot
	UserTime    Seconds   `json:"user_seconds"` // processor time
	SystemTime  Seconds   `json:"system_seconds"`
	RSS         int64     `json:"rss_bytes"`
	VSize       int64     `json:"vsize_bytes"`
	TracerPID   int       `json:"tracer_pid,omitempty"`
	Limits      []string  `json:"limits,omitempty"` // lines of /proc/PID/limits
	Status      []string  `json:"status,omitempty"` // lines of /proc/PID/status
	Cgroup      string    `json:"cgroup,omitempty"`
	OOMScore    int       `json:"oom_score"`
	FDs         []FD      `json:"fds,omitempty"` // at most MaxFDs
	FDCount     int       `json:"fd_count"`
	Maps        []string  `json:"maps,omitempty"` // lines of /proc/PID/maps, at most MaxMaps
	Threads     []Thread  `json:"threads"`        // at most MaxThreads
	ThreadCount int       `json:"thread_count"`
	Masked      []Masked  `json:"masked,omitempty"`
	Denied      []string  `json:"denied,omitempty"` // "stack: permission denied (needs CAP_SYS_ADMIN)"
}

// Bounds of a Process.
const (
	MaxFDs     = 4096
	MaxMaps    = 8192
	MaxThreads = 4096
)

// FD is one open descriptor.
type FD struct {
	Number int    `json:"fd"`
	Target string `json:"target"` // the link in /proc/PID/fd
}

// Thread is one thread as /proc/PID/task/TID showed it.
type Thread struct {
	TID         int      `json:"tid"`
	Comm        string   `json:"comm"`
	State       string   `json:"state"`
	Wchan       string   `json:"wchan,omitempty"`
	Syscall     string   `json:"syscall,omitempty"`      // name or number, with arguments
	KernelStack []string `json:"kernel_stack,omitempty"` // innermost first
	Frames      []Frame  `json:"frames,omitempty"`       // user stack, innermost first
	UserTime    Seconds  `json:"user_seconds"`
	SystemTime  Seconds  `json:"system_seconds"`
	Voluntary   int64    `json:"voluntary_switches"`
	Involuntary int64    `json:"involuntary_switches"`
	Goroutine   int64    `json:"goroutine,omitempty"`
}
