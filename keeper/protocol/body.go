package protocol

import (
	"strconv"
	"time"

	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/signals/ledger"
)

// Hello is the first request of a supervisor.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of vigil
	PID      int    `json:"pid"`
}

// Beginning says why a supervisor is started, and so which configuration it
// reads.
type Beginning string

// The reasons.
const (
	// BeginFirst: the keeper is new. The configuration on disk counts.
	BeginFirst Beginning = "first"
	// BeginAgain: the one before has crashed. The configuration that was last
	// accepted counts, which the keeper holds (ConfigFile): a file that somebody
	// is about to edit is not taken up by an accident.
	BeginAgain Beginning = "again"
	// BeginCandidate: a reload. The configuration on disk is tried; the answer
	// to Hello grants no epoch yet, see Plan.
	BeginCandidate Beginning = "candidate"
)

// ConfigFile is the name of the descriptor that holds the accepted
// configuration.
const ConfigFile = "vigil/config"

// Plan is what a candidate would do, or why it will not.
type Plan struct {
	Version string   `json:"version"`
	Add     []string `json:"add,omitempty"`
	Remove  []string `json:"remove,omitempty"`
	Restart []string `json:"restart,omitempty"`
	Leave   []string `json:"leave,omitempty"`
	Refused string   `json:"refused,omitempty"` // why there is no plan
}

// Reload asks for a candidate.
type Reload struct {
	From signals.Sender `json:"from"`
}

// Outcome is what came of a demand.
type Outcome struct {
	Demand uint64 `json:"demand"`
	Text   string `json:"text"`
}

// LedgerQuery asks for entries of the ledger of signals.
type LedgerQuery struct {
	Since uint64 `json:"since"` // those after this number
	Limit int    `json:"limit"` // at most so many, the newest; 0: all that are kept
}

// Entries are entries of the ledger, oldest first.
type Entries struct {
	Entries []ledger.Entry `json:"entries"`
	Stats   ledger.Stats   `json:"stats"`
}

// Welcome grants an epoch.
type Welcome struct {
	Epoch         uint64        `json:"epoch"` // 0: none yet, for a candidate
	Beginning     Beginning     `json:"beginning"`
	Former        string        `json:"former,omitempty"` // version of the supervisor before
	Name          string        `json:"name"`
	KeeperPID     int           `json:"keeper_pid"`
	KeeperVersion string        `json:"keeper_version"`
	Started       time.Duration `json:"started"`          // CLOCK_BOOTTIME
	Cgroup        string        `json:"cgroup,omitempty"` // directory under which services get theirs
	NoCgroup      string        `json:"no_cgroup,omitempty"`
	NoReaper      string        `json:"no_subreaper,omitempty"`
}

// Credential is whom a child runs as.
type Credential struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
}

// Rlimit is one resource limit, setrlimit(2).
type Rlimit struct {
	Resource int    `json:"resource"`
	Soft     uint64 `json:"soft"`
	Hard     uint64 `json:"hard"`
}

// Output says where a child's stdout and stderr go.
type Output string

// The outputs.
const (
	OutputPipe    Output = "pipe"    // two pipes of this child's own; the read ends come with Started
	OutputInherit Output = "inherit" // the keeper's
)

// ID names one instance of a child: every request but Start uses it.
func ID(key string, instance uint64) string { return key + "#" + strconv.FormatUint(instance, 10) }

// Start starts a process as a child of the keeper. Key and Instance name it
// (ID); a key whose former instance is not empty is refused.
type Start struct {
	Key         string      `json:"key"`
	Instance    uint64      `json:"instance"`
	Path        string      `json:"path"` // resolved, absolute or with a slash
	Args        []string    `json:"args"` // argv, with argv[0]
	Env         []string    `json:"env"`
	PIDEnv      string      `json:"pid_env,omitempty"` // text in Env that stands for the child's own pid
	Dir         string      `json:"dir,omitempty"`
	Credential  *Credential `json:"credential,omitempty"`
	Umask       *int        `json:"umask,omitempty"`
	Nice        *int        `json:"nice,omitempty"`
	OOMScoreAdj *int        `json:"oom_score_adj,omitempty"`
	Rlimits     []Rlimit    `json:"rlimits,omitempty"`
	NoNewPrivs  bool        `json:"no_new_privileges,omitempty"`
	Bounding    *uint64     `json:"bounding,omitempty"` // capabilities that it can have at most, bit N for capability N; nil: what the keeper has
	Output      Output      `json:"output"`
	Passed      int         `json:"passed,omitempty"` // descriptors that come with the message: the child's 3, 4, ...
	Files       []string    `json:"files,omitempty"`  // names of kept descriptors: the child's next ones
	Wipe        []Wipe      `json:"wipe,omitempty"`   // of kept descriptors, before each start
	Helper      bool        `json:"helper,omitempty"` // not a service: ends with the supervisor's interest in it
	Again       bool        `json:"again,omitempty"`  // a standing order: once more, at once, should it die unasked

	// How to end it should there be no supervisor to say so.
	StopSignal  int           `json:"stop_signal,omitempty"`
	StopTimeout time.Duration `json:"stop_timeout,omitempty"`
}

// Wipe makes the bytes of a kept file zero from an offset on, so that nothing of
// one instance is taken for a sign of the next: a standing order is carried out
// without a supervisor.
type Wipe struct {
	Name string `json:"name"`
	From int64  `json:"from"`
}

// Started is the answer to a Start that worked: execve has succeeded.
type Started struct {
	PID      int           `json:"pid"`
	Ticks    uint64        `json:"ticks"` // start time, field 22 of /proc/PID/stat; 0: it was over before that could be read
	Instance uint64        `json:"instance"`
	Boot     time.Duration `json:"boot"` // CLOCK_BOOTTIME of the start
	Cgroup   string        `json:"cgroup,omitempty"`
}

// Reply answers a request that has no answer of its own. Error is empty when
// it worked.
type Reply struct {
	Error string `json:"error,omitempty"`
	Stage string `json:"stage,omitempty"` // of a failed start
	Errno int    `json:"errno,omitempty"` // of a failed start or signal
	Code  string `json:"code,omitempty"`  // "fenced", "unknown-key", "busy", ...

	Demand uint64 `json:"demand,omitempty"` // number of the demand in the ledger
}

// Scope says which processes of a child a signal goes to.
type Scope string

// The scopes.
const (
	ScopeMain  Scope = "main"
	ScopeGroup Scope = "group" // the process group that the main process leads
)

// Signal sends a signal.
type Signal struct {
	ID     string `json:"id"`
	Number int    `json:"number"`
	Scope  Scope  `json:"scope"`
	// From is the client that asked for it, and makes it an entry of the ledger;
	// nil: the supervisor's own doing.
	From *signals.Sender `json:"from,omitempty"`
}

// Kill ends a whole tree by SIGKILL.
type Kill struct {
	ID    string `json:"id"`
	Spare []int  `json:"spare,omitempty"` // at most MaxSpared: twins of a process of the tree, made to be copied
}

// MaxSpared bounds the processes that a Kill spares.
const MaxSpared = 16

// Main makes another process of the same tree the one whose end counts
// (MAINPID= of sd_notify).
type Main struct {
	ID  string `json:"id"`
	PID int    `json:"pid"`
}

// Order sets or withdraws the standing order of a running child.
type Order struct {
	ID    string `json:"id"`
	Again bool   `json:"again"`
}

// Name names a kept descriptor or a child.
type Name struct {
	Name string `json:"name"`
}

// Note is a small text that outlives the supervisor.
type Note struct {
	Key  string `json:"key"`
	Text []byte `json:"text"`
}

// Ack acknowledges all events up to and with Seq.
type Ack struct {
	Seq uint64 `json:"seq"`
}

// Quit ends the keeper once every child is gone.
type Quit struct {
	Status int `json:"status"`
}

// Exit is how a process ended.
type Exit struct {
	Status  uint32        `json:"status"` // wait status, as syscall.WaitStatus
	Boot    time.Duration `json:"boot"`
	User    time.Duration `json:"user"`
	System  time.Duration `json:"system"`
	MaxRSS  int64         `json:"max_rss"` // bytes
	Major   int64         `json:"major"`
	Vol     int64         `json:"vol"`
	Invol   int64         `json:"invol"`
	Unknown bool          `json:"unknown,omitempty"` // somebody else reaped it
}

// Child is one child as the keeper knows it.
type Child struct {
	Key     string  `json:"key"`
	Helper  bool    `json:"helper,omitempty"`
	Started Started `json:"started"`
	Exit    *Exit   `json:"exit,omitempty"`    // absent while it lives
	Empty   bool    `json:"empty"`             // the whole tree is gone
	Killing bool    `json:"killing"`           // a Kill is under way
	Stopped int     `json:"stopped"`           // the signal that stopped it, 0 when it is not stopped
	Again   bool    `json:"again,omitempty"`   // the standing order
	Adopted bool    `json:"adopted,omitempty"` // started by a keeper that is dead; what it told in between was heard by nobody
	Waiting bool    `json:"waiting"`           // its start is under way: EventStarted or EventStartFailed follows
	Files   []bool  `json:"files"`             // which of [pidfd, stdout, stderr] come with it

	// As its Start said.
	StopSignal  int           `json:"stop_signal,omitempty"`
	StopTimeout time.Duration `json:"stop_timeout,omitempty"`
}

// EventKind says what happened.
type EventKind string

// The events.
const (
	EventExited    EventKind = "exited"    // the main process of a child has ended; Exit says how
	EventEmpty     EventKind = "empty"     // and so has every other process of its tree: told at the exit, or after a Kill; what ends later by itself is not watched
	EventSurvivors EventKind = "survivors" // a killed tree is not empty yet; PIDs names who is left
	EventRestarted EventKind = "restarted" // a standing order was carried out; Exit of the former, Started of the new
	EventOrderFail EventKind = "order-failed"
	// A start has ended whose supervisor is gone; Started, or Failure.
	EventStarted     EventKind = "started"
	EventStartFailed EventKind = "start-failed"
	EventStopped     EventKind = "stopped" // by a signal, waitid(2) CLD_STOPPED; Number
	EventContinued   EventKind = "continued"
	EventSignal      EventKind = "signal"         // the keeper got a signal; Number, Sender
	EventReloaded    EventKind = "reloaded"       // by a candidate that is in charge now; Demand, Text, Plan
	EventRefused     EventKind = "reload-refused" // the supervisor stays as it is; Demand, Text
	EventDropped     EventKind = "dropped"
)

// Event is one thing that happened at the keeper.
type Event struct {
	Seq     uint64         `json:"seq"`
	Kind    EventKind      `json:"kind"`
	Boot    time.Duration  `json:"boot"`
	Key     string         `json:"key,omitempty"`
	Inst    uint64         `json:"instance,omitempty"`
	Exit    *Exit          `json:"exit,omitempty"`
	Started *Started       `json:"started,omitempty"`
	Number  int            `json:"number,omitempty"`
	PIDs    []int          `json:"pids,omitempty"`
	Failure *Reply         `json:"failure,omitempty"`
	Count   uint64         `json:"count,omitempty"`
	Demand  uint64         `json:"demand,omitempty"` // number of the demand in the ledger
	Name    signals.Demand `json:"name,omitempty"`   // what was asked for
	Text    string         `json:"text,omitempty"`
	Plan    *Plan          `json:"plan,omitempty"`
}
