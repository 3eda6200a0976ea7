package snapshot

// RuntimeReport is what the runtime of a process says of itself, runtime.json.
// Lines are as the runtime prints them, secrets masked.
type RuntimeReport struct {
	Schema    int      `json:"schema"`
	PID       int      `json:"pid"`
	Runtime   string   `json:"runtime"`           // "jvm", "python", "node"
	Version   string   `json:"version,omitempty"` // in the words of the runtime
	Heap      []string `json:"heap,omitempty"`
	Safepoint []string `json:"safepoint,omitempty"` // of a JVM
	Notes     []string `json:"notes,omitempty"`     // sentences about the limits of this report
}

// Tree is the other processes of a service, tree.json: those of its cgroup and
// its descendants, without the main one.
type Tree struct {
	Schema    int           `json:"schema"`
	Processes []TreeProcess `json:"processes"` // at most MaxTree, parents first
	Count     int           `json:"count"`     // how many there were
	Missing   []string      `json:"missing,omitempty"`
}

// MaxTree bounds the processes of a Tree.
const MaxTree = 64

// TreeProcess is one of them.
type TreeProcess struct {
	PID     int      `json:"pid"`
	PPID    int      `json:"ppid"`
	Comm    string   `json:"comm"`
	Command []string `json:"command,omitempty"` // secrets masked
	State   string   `json:"state"`
	Program Program  `json:"program"`
	RSS     int64    `json:"rss_bytes"`
	Threads int      `json:"threads"`
	Stacks  *Stacks  `json:"stacks,omitempty"`
	Missing []string `json:"missing,omitempty"`
}
