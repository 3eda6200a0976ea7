package config

import "golang.org/x/sys/unix"

// Limits are resource limits, soft and hard alike; nil: inherited.
// ^uint64(0) is "unlimited" (RLIM_INFINITY).
type Limits struct {
	NoFile     *uint64 `json:"nofile,omitempty"`
	Core       *uint64 `json:"core,omitempty"`
	NProc      *uint64 `json:"nproc,omitempty"`
	MemLock    *uint64 `json:"memlock,omitempty"`
	Stack      *uint64 `json:"stack,omitempty"`
	AS         *uint64 `json:"as,omitempty"`
	Data       *uint64 `json:"data,omitempty"`
	FSize      *uint64 `json:"fsize,omitempty"`
	CPU        *uint64 `json:"cpu,omitempty"`
	SigPending *uint64 `json:"sigpending,omitempty"`
	MsgQueue   *uint64 `json:"msgqueue,omitempty"`
	RTPrio     *uint64 `json:"rtprio,omitempty"`
}

// Limit is one resource limit as setrlimit(2) takes it.
type Limit struct {
	Resource int // unix.RLIMIT_...
	Name     string
	Value    uint64
}

// List returns the limits that are set.
func (l Limits) List() []Limit {
	var list []Limit
	add := func(resource int, name string, v *uint64) {
		if v != nil {
			list = append(list, Limit{resource, name, *v})
		}
	}
	add(unix.RLIMIT_NOFILE, "nofile", l.NoFile)
	add(unix.RLIMIT_CORE, "core", l.Core)
	add(unix.RLIMIT_NPROC, "nproc", l.NProc)
	add(unix.RLIMIT_MEMLOCK, "memlock", l.MemLock)
	add(unix.RLIMIT_STACK, "stack", l.Stack)
	add(unix.RLIMIT_AS, "as", l.AS)
	add(unix.RLIMIT_DATA, "data", l.Data)
	add(unix.RLIMIT_FSIZE, "fsize", l.FSize)
	add(unix.RLIMIT_CPU, "cpu", l.CPU)
	add(unix.RLIMIT_SIGPENDING, "sigpending", l.SigPending)
	add(unix.RLIMIT_MSGQUEUE, "msgqueue", l.MsgQueue)
	add(unix.RLIMIT_RTPRIO, "rtprio", l.RTPrio)
	return list
}
