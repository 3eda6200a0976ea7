// Package control is the API of a running vigil: the types that its unix
// socket speaks, and their version. HTTP/1.1 with JSON bodies; the routes are
// in Routes. The command line is one client of it.
package control

import "time"

// Version is the version of the API; it stands in every reply's
// Vigil-Api-Version header. A new field does not raise it.
const Version = 1

// SocketName is the name of the control socket in the runtime directory. It is
// mode 0600: only root and the user that started vigil may talk to it.
const SocketName = "control.sock"

// Service is one service as `vigil status` shows it.
type Service struct {
	Service  string    `json:"service"`
	State    string    `json:"state"` // stopped waiting starting running suspect freezing stopping backoff failed
	PID      int       `json:"pid"`   // 0 when there is no process
	Instance uint64    `json:"instance"`
	Restarts uint64    `json:"restarts"` // unasked ones since vigil was started
	Ready    bool      `json:"ready"`
	Cause    string    `json:"cause"` // of the last end; empty when none
	Since    time.Time `json:"since"` // of the state, UTC

	Sentence   string     `json:"sentence,omitempty"` // the last end, with the proof
	Status     string     `json:"status,omitempty"`   // STATUS= of sd_notify
	Uptime     float64    `json:"uptime_seconds"`     // of the process
	Heartbeat  *Heartbeat `json:"heartbeat,omitempty"`
	Signs      []Sign     `json:"signs,omitempty"`              // of life, the worst first; at most MaxSigns
	SignsMore  int        `json:"signs_more,omitempty"`         // how many there are beyond
	NextStart  float64    `json:"next_start_seconds,omitempty"` // until the next start, in backoff
	WaitingFor []Blocker  `json:"waiting_for,omitempty"`        // who must be ready before it is started, in waiting
	EndsAfter  []Blocker  `json:"ends_after,omitempty"`         // who must be gone first: it is to be stopped or restarted, and runs on until then
	Incident   string     `json:"incident,omitempty"`           // id of the newest
	Desired    string     `json:"desired"`                      // "up" or "down"
	ExitCode   *int       `json:"exit_code,omitempty"`          // of the last end; 128+n for a signal
	Cgroup     string     `json:"cgroup,omitempty"`
	Output     Output     `json:"output"`
	Notified   uint64     `json:"notify_datagrams,omitempty"` // taken from the service since this supervisor began
	Refused    uint64     `json:"notify_refused,omitempty"`   // datagrams of strangers or malformed ones
	Command    []string   `json:"command"`
	Limitation []string   `json:"limitations,omitempty"` // what this machine or user does not allow, in words
}

// Blocker is a service that another one waits for.
type Blocker struct {
	Service string `json:"service"`
	State   string `json:"state"` // or "to stop", "to restart" for one whose end has been asked for
}

// Heartbeat is the age of the last beat against its limit.
type Heartbeat struct {
	Age     float64 `json:"age_seconds"`
	Limit   float64 `json:"limit_seconds"`
	Suspect float64 `json:"suspect_seconds"`
	State   string  `json:"state"` // "ok", "suspect", "suspended", "waiting" (for the first beat)
}

// MaxSigns is how many signs of one service are told.
const MaxSigns = 128

// Sign is one sign of life as it stands.
type Sign struct {
	Name  string  `json:"name"`
	Kind  string  `json:"kind"`  // activity heartbeat gimli thread probe file output
	State string  `json:"state"` // healthy suspect confirmed suspended
	Age   float64 `json:"age_seconds"`
	Limit float64 `json:"limit_seconds"` // 0: none
	Text  string  `json:"text,omitempty"`
}

// Output counts what a service wrote.
type Output struct {
	Bytes        uint64 `json:"bytes"`
	Lines        uint64 `json:"lines"`
	DroppedBytes uint64 `json:"dropped_bytes"`
	DroppedLines uint64 `json:"dropped_lines"`
	File         string `json:"file,omitempty"`
}

// Instance is a running vigil.
type Instance struct {
	Name       string    `json:"name"`
	KeeperPID  int       `json:"keeper_pid"`
	Supervisor int       `json:"supervisor_pid"`
	Epoch      uint64    `json:"epoch"`
	Version    string    `json:"version"` // of the supervisor
	Keeper     string    `json:"keeper_version"`
	Former     string    `json:"former_version,omitempty"` // of the supervisor before
	Started    time.Time `json:"started"`
	StateDir   string    `json:"state_dir"`
	RuntimeDir string    `json:"runtime_dir"`
	Limits     []string  `json:"limitations,omitempty"`
}

// Verb is what a client asks of services.
type Verb string

// The verbs.
const (
	Start   Verb = "start"
	Stop    Verb = "stop"
	Restart Verb = "restart"
)

// Ask is a request to change services.
type Ask struct {
	Verb     Verb     `json:"verb"`
	Services []string `json:"services"`
	Wait     bool     `json:"wait"` // reply when it is done
	// Beyond makes a restart one that can be asked for again: a service whose
	// instance has a higher number than this one has been restarted already.
	Beyond map[string]uint64 `json:"beyond,omitempty"`
}

// Result is what came of an Ask for one service.
type Result struct {
	Service string `json:"service"`
	State   string `json:"state"`
	Done    bool   `json:"done"`
	Error   string `json:"error,omitempty"`
}

// Line is one line of output.
type Line struct {
	Time     time.Time `json:"time"`
	Instance uint64    `json:"instance"`
	Stream   string    `json:"stream"` // "out", "err", or "vigil" for a marker of ours
	Text     string    `json:"text"`
}

// Event is one thing that happened, as `vigil events` shows it.
type Event struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Service string    `json:"service,omitempty"`
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
}

// Error is the body of every reply that is not 2xx.
type Error struct {
	Code    string `json:"code"`  // from the table of codes
	Message string `json:"error"` // a sentence
}

// Codes of errors.
const (
	CodeBadRequest = "bad-request"
	CodeNotFound   = "not-found"
	CodeConflict   = "conflict"
	CodeFailed     = "failed"
	CodeShutdown   = "shutting-down"
)

// Routes of the API.
const (
	RouteInstance = "/v1/instance" // GET -> Instance
	RouteServices = "/v1/services" // GET ?service=a&service=b -> []Service
	RouteAsk      = "/v1/ask"      // POST Ask -> []Result
	RouteLogs     = "/v1/logs"     // GET ?service=a&lines=100&follow=1 -> stream of Line, one JSON object a line
	RouteEvents   = "/v1/events"   // GET ?follow=1 -> stream of Event
)

// Backend is what the server needs of the supervisor. Every method may be
// called from any goroutine and returns when ctx ends.
type Backend interface {
	Reopener
	Signaller
	Snapshotter
	Ledger
	Instance() Instance
	Services(names []string) ([]Service, error) // error wraps ErrNotFound for an unknown name
	// Ask changes services. There is a result for each of them, and for those
	// that had to go along in the order of services.
	Ask(ctx Context, a Ask) ([]Result, error)
	// Logs calls emit with the kept lines, oldest first, then with new ones
	// when follow is set, until ctx ends or emit fails.
	Logs(ctx Context, service string, lines int, follow bool, emit func(Line) error) error
	Events(ctx Context, follow bool, emit func(Event) error) error
}
