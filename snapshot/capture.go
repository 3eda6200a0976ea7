package snapshot

// Capture is the report of the capture helper, capture.json: what the freeze
// and the copy did. vigil-capture writes it when the target is free and the core
// is whole, and completes it after the analysis.
type Capture struct {
	Schema int `json:"schema"`
	PID    int `json:"pid"`

	// StartTicks is field 22 of /proc/PID/stat, USER_HZ since boot: with PID it
	// names the process for good.
	StartTicks uint64 `json:"start_ticks,omitempty"`

	Freeze  Freeze  `json:"freeze"`
	Program Program `json:"program"`
	Core    string  `json:"core,omitempty"` // file name in the incident directory
	// Exe is the executable that the analysis reads. ExeCopied: it is a file
	// name in the incident directory, because the one on disk was another by
	// then; else it is an absolute path.
	Exe       string   `json:"exe,omitempty"`
	ExeCopied bool     `json:"exe_copied,omitempty"`
	ExeID     string   `json:"exe_id,omitempty"` // of the store of executables
	Missing   []string `json:"missing,omitempty"`
	Ran       []Ran    `json:"collectors"`
}

// Progress is one line of JSON that vigil-capture writes to its progress
// descriptor. The order is: started, released, done; or failed at any place.
type Progress struct {
	Stage  string `json:"stage"`            // one of the Stage constants
	Error  string `json:"error,omitempty"`  // with failed
	Reason string `json:"reason,omitempty"` // why the result is partial
	// Twin, with released, is the pid of a copy of the target that is still being
	// read: it must not be killed with the target.
	Twin int `json:"twin,omitempty"`
}

// Stages of a capture.
const (
	StageStarted  = "started"  // the helper runs
	StageReleased = "released" // the target is free: it may be killed and restarted now
	StageDone     = "done"     // all files are written
	StageFailed   = "failed"   // nothing more will come; the target is free
)
