package api

import "github.com/vigil-supervisor/vigil/snapshot"

// ProcessView is a process with what it did between two looks at it, and with what
// its descriptors are.
type ProcessView struct {
	snapshot.Process
	Between snapshot.Seconds `json:"between_seconds"` // from the first look, when it was late, to this one; 0: there was one look
	Deltas  []ThreadDelta    `json:"deltas"`          // of the threads that both looks have seen
	Opened  []Descriptor     `json:"opened"`          // its descriptors, with their sockets
}

// ThreadDelta is what one thread did between two looks.
type ThreadDelta struct {
	TID         int              `json:"tid"`
	CPU         snapshot.Seconds `json:"cpu_seconds"` // processor time, user and system
	Voluntary   int64            `json:"voluntary_switches"`
	Involuntary int64            `json:"involuntary_switches"`
}

// Descriptor is one descriptor in words: the file, or the socket's two ends and state.
type Descriptor struct {
	FD   int    `json:"fd"`
	Text string `json:"text"`
}
