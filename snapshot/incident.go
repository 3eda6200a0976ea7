package snapshot

import "time"

// Status says how far an incident has come.
type Status string

// The states of an incident in the store.
const (
	StatusWriting  Status = "writing"  // evidence is still being taken
	StatusPending  Status = "pending"  // evidence is safe, analysis goes on
	StatusComplete Status = "complete" // all that was asked for is there
	StatusPartial  Status = "partial"  // complete, and something is missing: see Missing
)

// Incident is the manifest of one incident, incident.json.
type Incident struct {
	Schema      int       `json:"schema"`
	ID          string    `json:"id"` // sortable: 20261124T203152.123456Z-SERVICE-xxxx
	Service     string    `json:"service"`
	Instance    uint64    `json:"instance"` // counts the starts of the service, from 1
	PID         int       `json:"pid"`
	Time        time.Time `json:"time"` // of the verdict, UTC
	Host        string    `json:"host,omitempty"`
	Cause       Cause     `json:"cause"`
	Sentence    string    `json:"sentence"`              // the cause in plain words, with the proof
	Fingerprint string    `json:"fingerprint,omitempty"` // v2:..., same death, same fingerprint
	Status      Status    `json:"status"`
	Bytes       int64     `json:"bytes"` // on disk, the whole directory

	Command []string   `json:"command,omitempty"`
	Uptime  Seconds    `json:"uptime_seconds"`
	Exit    *Exit      `json:"exit,omitempty"`    // absent when it was still alive at the time
	Freeze  *Freeze    `json:"freeze,omitempty"`  // absent when nothing was frozen
	Program *Program   `json:"program,omitempty"` // what ran
	Missing []string   `json:"missing,omitempty"` // sentences: what is missing, why, and what would give it
	Card    *Card      `json:"card,omitempty"`    // what is known of why
	Masked  []Masked   `json:"masked,omitempty"`  // what is not shown because it looks secret
	Ran     []Ran      `json:"collectors"`        // which collectors ran, and what each cost
	Files   []FileInfo `json:"files"`
	Removed []Removed  `json:"removed,omitempty"` // files that it had, and that gave way to the bounds of the store
	Vigil   string     `json:"vigil"`             // version of vigil that took it
}

// Seconds is a length of time in JSON: a number of seconds.
type Seconds float64

// SecondsOf converts a duration.
func SecondsOf(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration converts back.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Exit is how a process ended: wait status and rusage, getrusage(2).
type Exit struct {
	Code       int     `json:"code"`             // exit status; -1 when a signal ended it
	Signal     string  `json:"signal,omitempty"` // "KILL", without SIG
	CoreDumped bool    `json:"core_dumped,omitempty"`
	UserTime   Seconds `json:"user_seconds"`
	SystemTime Seconds `json:"system_seconds"`
	MaxRSS     int64   `json:"max_rss_bytes"`
	MajorFault int64   `json:"major_faults"`
	Voluntary  int64   `json:"voluntary_switches"`
	Involunt   int64   `json:"involuntary_switches"`
}

// Freeze is what a capture did to the target and what that cost.
type Freeze struct {
	Method  string  `json:"method"`         // one of the Rung constants, or "none"
	Pause   Seconds `json:"pause_seconds"`  // first stop to last release
	Budget  Seconds `json:"budget_seconds"` // what the configuration allowed
	Threads int     `json:"threads"`
	Bytes   int64   `json:"bytes"` // memory copied

	// Refused are the rungs above Method that were not used, highest first, and
	// why.
	Refused []Refusal `json:"refused,omitempty"`
}

// Rungs of the ladder of a capture, highest first. Each is used only when the
// ones above it were refused or failed.
const (
	RungTwin    = "twin"    // a copy-on-write twin is made, and copied while the target runs on
	RungCopy    = "copy"    // its memory is copied while it is stopped
	RungLive    = "live"    // a bounded number of stacks is read from it while it is stopped
	RungRuntime = "runtime" // its runtime is asked to print its stacks; it may end by that
	RungProc    = "proc"    // only what /proc shows
)

// Rungs lists them, highest first.
func Rungs() []string { return []string{RungTwin, RungCopy, RungLive, RungRuntime, RungProc} }

// Refusal is a rung that was not used, or failed.
type Refusal struct {
	Rung   string `json:"rung"`
	Reason string `json:"reason"`
}

// Program is the executable of the process.
type Program struct {
	Path      string `json:"path"`
	Runtime   string `json:"runtime"`              // "go", "jvm", "python", "node", "native"
	GoVersion string `json:"go_version,omitempty"` // "go1.26.8"
	BuildID   string `json:"build_id,omitempty"`
	Module    string `json:"module,omitempty"`   // main module and version
	Revision  string `json:"revision,omitempty"` // vcs.revision of the build
	Optimised bool   `json:"optimised,omitempty"`
	Stripped  bool   `json:"stripped,omitempty"`
}

// Ran is one collector that ran, or did not.
type Ran struct {
	Name   string  `json:"name"`   // "freeze", "golang", "process", "core", "output"
	Result string  `json:"result"` // "ok", "partial", "failed", "skipped"
	Cost   Seconds `json:"cost_seconds"`
	Bytes  int64   `json:"bytes,omitempty"`
	Reason string  `json:"reason,omitempty"` // why it is not "ok"
}

// FileInfo is one file of the incident directory.
type FileInfo struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // allocated on disk
}

// Moment is one entry of the timeline.
type Moment struct {
	Time time.Time     `json:"time"`    // wall clock, UTC, for display
	Boot time.Duration `json:"boot_ns"` // CLOCK_BOOTTIME, for order and distance
	Kind string        `json:"kind"`    // "state", "beat", "ready", "status", "signal", "verdict", "capture", "output", "dropped"
	Text string        `json:"text"`
}
