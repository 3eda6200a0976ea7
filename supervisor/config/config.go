package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Config is a whole configuration. It is immutable: nobody changes it or
// anything it refers to after Load.
type Config struct {
	Services  []Service `json:"services"` // by name
	Incidents Incidents `json:"incidents"`
	Files     []string  `json:"files"` // as given, in the order of reading
	Hash      string    `json:"hash"`  // of the meaning, not of the bytes: 16 hex digits
}

// Service returns the service of that name.
func (c *Config) Service(name string) (Service, bool) {
	for _, s := range c.Services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// Service is one service. Fields are named after the keys, whose meaning
// docs/configuration.md tells.
type Service struct {
	Name               string            `json:"name"`
	Command            []string          `json:"command"`
	User               string            `json:"user,omitempty"`  // name or number; "": vigil's own
	Group              string            `json:"group,omitempty"` // "": the user's
	Groups             []string          `json:"groups,omitempty"`
	Directory          string            `json:"directory,omitempty"` // "": vigil's own
	Environment        map[string]string `json:"environment,omitempty"`
	InheritEnvironment bool              `json:"inherit_environment"`
	Umask              *int              `json:"umask,omitempty"` // nil: vigil's own
	Limits             Limits            `json:"limits"`
	Nice               *int              `json:"nice,omitempty"`
	OOMScoreAdj        *int              `json:"oom_score_adj,omitempty"`
	NoNewPrivileges    bool              `json:"no_new_privileges"`
	StartTimeout       time.Duration     `json:"start_timeout"`
	StopSignal         syscall.Signal    `json:"stop_signal"`
	StopTimeout        time.Duration     `json:"stop_timeout"`
	ReloadSignal       syscall.Signal    `json:"reload_signal,omitempty"` // 0: none
	ReopenSignal       syscall.Signal    `json:"reopen_signal,omitempty"` // 0: none
	Forward            []syscall.Signal  `json:"forward,omitempty"`
	Runtime            string            `json:"runtime"` // auto, go, jvm, python, node, native
	Autostart          bool              `json:"autostart"`
	After              []string          `json:"after,omitempty"`
	Requires           []string          `json:"requires,omitempty"`
	RestartWith        []string          `json:"restart_with,omitempty"`
	DryRun             bool              `json:"dry_run"`
	OutputTail         int64             `json:"output_tail"` // bytes
	Ready              Ready             `json:"ready"`
	Restart            restart.Policy    `json:"restart"`
	Heartbeat          Heartbeat         `json:"heartbeat"`
	Capture            Capture           `json:"capture"`
	Log                Log               `json:"log"`
	Outputs            []OutputPattern   `json:"outputs,omitempty"`
	Probes             []Probe           `json:"probes,omitempty"`
	Threads            []Thread          `json:"threads,omitempty"` // in the order of the file

	seen *seen
}

// Ready says how a service tells that it serves. At most one is set; with
// none, a service is ready when it is started.
type Ready struct {
	Notify bool          `json:"notify,omitempty"` // READY=1 on NOTIFY_SOCKET
	FD     int           `json:"fd,omitempty"`     // a newline on this descriptor, 3 or more
	After  time.Duration `json:"after,omitempty"`  // it has lived this long
	Probe  string        `json:"probe,omitempty"`  // this probe succeeds
}

// Set reports whether the service tells in some way.
func (r Ready) Set() bool { return r.Notify || r.FD != 0 || r.After != 0 || r.Probe != "" }

// Heartbeat holds the two thresholds of silence. Both 0: no beats expected.
type Heartbeat struct {
	Timeout    time.Duration `json:"timeout,omitempty"`
	Suspect    time.Duration `json:"suspect,omitempty"`
	File       string        `json:"file,omitempty"`
	Activities int           `json:"activities"` // slots of the shared page; 0: no page
	// Gimli: the program is linked with libgimli, and beats by that. Timeout is
	// then the limit of its state running, and never 0.
	Gimli bool `json:"gimli,omitempty"`
}

// Capture says what is kept when a service dies or hangs.
type Capture struct {
	Budget         time.Duration `json:"budget"` // 0: see BudgetOf
	AnalysisBudget time.Duration `json:"analysis_budget"`
	Variables      bool          `json:"variables"`
	KeepCore       bool          `json:"keep_core"`
	Recorder       bool          `json:"recorder"`
	CoreLimit      int64         `json:"core_limit"` // bytes; 0: no core

	DumpSignal syscall.Signal `json:"dump_signal,omitempty"` // 0: none
	TraceExit  bool           `json:"trace_exit,omitempty"`
}

// BudgetOf is the budget of a service of that runtime. What a JVM says of itself
// is worth waiting for: nothing else reads its threads.
func (c Capture) BudgetOf(runtime string) time.Duration {
	switch {
	case c.Budget > 0:
		return c.Budget
	case runtime == "jvm":
		return 5 * time.Second
	}
	return 2 * time.Second
}

// Log says where output goes.
type Log struct {
	Directory string `json:"directory,omitempty"` // "": under the state directory
	MaxSize   int64  `json:"max_size"`            // bytes of one file
	Keep      int    `json:"keep"`                // rotated files
	Compress  string `json:"compress"`            // zstd, none
	MinFree   Free   `json:"min_free"`            // of its file system
}

// Incidents bounds the store of incidents.
type Incidents struct {
	MaxBytes int64         `json:"max_bytes"`
	MaxAge   time.Duration `json:"max_age"`
	MinFree  Free          `json:"min_free"`
	// MinFreeInodes is a share of the inodes of the file system, in percent.
	MinFreeInodes     float64 `json:"min_free_inodes"`
	MaxPerFingerprint int     `json:"max_per_fingerprint"` // 0: any number
}

// Free is free space of a file system: a share, or a number of bytes.
type Free struct {
	Percent float64 `json:"percent,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
}

// Hash identifies what a running instance was started with: two services with
// the same hash need no restart to get from one to the other. 16 hex digits.
func (s Service) Hash() string {
	return digest([]any{
		s.Name, s.Command, s.User, s.Group, s.Groups, s.Directory, s.Environment, s.InheritEnvironment,
		s.Umask, s.Limits, s.Nice, s.OOMScoreAdj, s.NoNewPrivileges, s.Runtime,
		s.Capture.CoreLimit, s.Ready.Notify, s.Ready.FD, s.Heartbeat.Timeout, s.Heartbeat.Activities, s.Heartbeat.Gimli, // these reach the service as limit, descriptor, environment
	})
}

// digest hashes plain data. Such data cannot fail to be marshalled.
func digest(v any) string {
	data, _ := json.Marshal(v)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
