package snapshot

// Capture is the report of the capture helper, capture.json: what the freeze
// and the copy did. It is written by vigil-capture before the target is
// released and completed after it.
type Capture struct {
	Schema  int      `json:"schema"`
	PID     int      `json:"pid"`
	Freeze  Freeze   `json:"freeze"`
	Program Program  `json:"program"`
	Core    string   `json:"core,omitempty"` // file name in the incident directory
	Missing []string `json:"missing,omitempty"`
	Ran     []Ran    `json:"collectors"`
}

// Progress is one line of JSON that vigil-capture writes to its progress
// descriptor. The order is: started, released, done; or failed at any place.
type Progress struct {
	Stage  string `json:"stage"`            // one of the Stage constants
	Error  string `json:"error,omitempty"`  // with failed
	Reason string `json:"reason,omitempty"` // why the result is partial
}

// Stages of a capture.
const (
	StageStarted  = "started"  // the helper runs
	StageReleased = "released" // the target is free: it may be killed and restarted now
	StageDone     = "done"     // all files are written
	StageFailed   = "failed"   // nothing more will come; the target is free
)
