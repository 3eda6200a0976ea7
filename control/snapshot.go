package control

// RouteSnapshot is where snapshots are asked for: POST Snapshot ->
// []SnapshotResult.
const RouteSnapshot = "/v1/snapshot"

// Snapshot asks for a snapshot of services that run on. They are taken one
// after the other.
type Snapshot struct {
	Services []string `json:"services"` // at least one
	// Detach returns when the processes run again, and not when the analysis is
	// over too.
	Detach bool `json:"detach,omitempty"`
}

// SnapshotResult is what came of it for one service.
type SnapshotResult struct {
	Service  string    `json:"service"`
	PID      int       `json:"pid,omitempty"`
	Incident string    `json:"incident,omitempty"` // its id in the store
	Status   string    `json:"status,omitempty"`   // of the incident: "writing", "complete", "partial"
	Rung     string    `json:"rung,omitempty"`     // which was used, see `vigil doctor`
	Refused  []Refusal `json:"refused,omitempty"`  // rungs above it, and why not
	Pause    float64   `json:"pause_seconds,omitempty"`
	Sentence string    `json:"sentence,omitempty"`
	Missing  []string  `json:"missing,omitempty"`
	Error    string    `json:"error,omitempty"` // there is no snapshot, or one without stacks
}

// Refusal is a rung of the capture that was not used.
type Refusal struct {
	Rung   string `json:"rung"`
	Reason string `json:"reason"`
}

// Snapshotter is the part of a Backend that takes snapshots. The error wraps
// ErrNotFound for an unknown name; then nothing was done.
type Snapshotter interface {
	Snapshot(ctx Context, who Caller, a Snapshot) ([]SnapshotResult, error)
}
