package config

import (
	"strings"
	"time"
)

// row is one key of the configuration: what it is called, what it takes, what
// it means, and where its value goes. The reference, the schema and the
// suggestions for misspelt keys are made from these rows too.
type row struct {
	name  string
	takes string // a kind, see kinds
	def   string // as TOML, or in words; "" when there is none
	doc   string
	sub   []row                                // of a table
	set   func(d *decoder, t *target, n *node) // nil for a table, and for later
	later bool                                 // known, and not supported by this version
}

// target is what a row's value goes into.
type target struct {
	service   *Service
	incidents *Incidents
	key       string // path below the service, as "restart.backoff.min"
}

// Kinds of values, as the reference names them.
const (
	takesString   = "string"
	takesStrings  = "array of strings"
	takesTable    = "table"
	takesTables   = "array of tables"
	takesText     = "table of strings"
	takesBool     = "boolean"
	takesInteger  = "integer"
	takesNumber   = "number"
	takesDuration = "duration"
	takesSize     = "size"
	takesSignal   = "signal"
	takesSignals  = "array of signals"
	takesLimit    = "integer or \"unlimited\""
	takesUmask    = "octal string"
	takesFree     = "share or size"
)

// notYet is what a later row says.
const notYet = "is not supported by this version of vigil"

// Bounds of numbers.
const (
	maxKeep  = 1000
	maxReady = 255
)

func serviceRows() []row {
	return []row{
		{name: "command", takes: takesStrings, doc: "Program and arguments; no shell is involved. A program without a slash is looked up in the service's PATH.", set: func(d *decoder, t *target, n *node) { t.service.Command = d.strings(n) }},
		{name: "user", takes: takesString, def: "vigil's own", doc: "User to run as, name or number; needs root.", set: func(d *decoder, t *target, n *node) { t.service.User = d.text(n) }},
		{name: "group", takes: takesString, def: "the user's", doc: "Group to run as, name or number.", set: func(d *decoder, t *target, n *node) { t.service.Group = d.text(n) }},
		{name: "groups", takes: takesStrings, def: "the user's", doc: "Supplementary groups.", set: func(d *decoder, t *target, n *node) { t.service.Groups = d.strings(n) }},
		{name: "directory", takes: takesString, def: "vigil's own", doc: "Working directory. Cores are looked for there.", set: func(d *decoder, t *target, n *node) { t.service.Directory = d.text(n) }},
		{name: "environment", takes: takesText, doc: "Environment variables, over the inherited ones.", set: func(d *decoder, t *target, n *node) { t.service.Environment = d.variables(n) }},
		{name: "inherit_environment", takes: takesBool, def: "true", doc: "Whether vigil's own environment is inherited, without what is meant for vigil alone (NOTIFY_SOCKET, WATCHDOG_USEC, VIGIL_* and the like).", set: func(d *decoder, t *target, n *node) { t.service.InheritEnvironment = d.boolean(n) }},
		{name: "umask", takes: takesUmask, def: "vigil's own", doc: "File mode creation mask, as \"027\".", set: func(d *decoder, t *target, n *node) { t.service.Umask = d.umask(n) }},
		{name: "limits", takes: takesTable, doc: "Resource limits, soft and hard alike.", sub: limitRows()},
		{name: "nice", takes: takesInteger, def: "vigil's own", doc: "-20 to 19; less than 0 needs root.", set: func(d *decoder, t *target, n *node) { t.service.Nice = d.intPointer(n, -20, 19) }},
		{name: "oom_score_adj", takes: takesInteger, def: "vigil's own", doc: "-1000 to 1000; lower needs root.", set: func(d *decoder, t *target, n *node) { t.service.OOMScoreAdj = d.intPointer(n, -1000, 1000) }},
		{name: "no_new_privileges", takes: takesBool, def: "false", doc: "No set-user-id program gives it more rights.", set: func(d *decoder, t *target, n *node) { t.service.NoNewPrivileges = d.boolean(n) }},
		{name: "autostart", takes: takesBool, def: "true", doc: "Whether `vigil up` starts it.", set: func(d *decoder, t *target, n *node) { t.service.Autostart = d.boolean(n) }},
		{name: "start_timeout", takes: takesDuration, def: `"60s"`, doc: "Most time until it is ready; counts only when it tells that it is ready.", set: func(d *decoder, t *target, n *node) { t.service.StartTimeout = d.duration(n, time.Millisecond) }},
		{name: "stop_signal", takes: takesSignal, def: `"TERM"`, doc: "Signal that asks it to end.", set: func(d *decoder, t *target, n *node) { t.service.StopSignal = d.signal(n) }},
		{name: "stop_timeout", takes: takesDuration, def: `"20s"`, doc: "How long it may take to end before all of it is killed.", set: func(d *decoder, t *target, n *node) { t.service.StopTimeout = d.duration(n, time.Millisecond) }},
		{name: "reload_signal", takes: takesSignal, later: true, doc: "Signal that makes it read its configuration again."},
		{name: "reopen_signal", takes: takesSignal, later: true, doc: "Signal that makes it open its logs anew."},
		{name: "forward", takes: takesSignals, later: true, doc: "Signals of vigil's main process that are passed on."},
		{name: "runtime", takes: takesString, def: `"auto"`, doc: "auto, go, jvm, python, node or native: how its stacks are taken.", set: func(d *decoder, t *target, n *node) {
			t.service.Runtime = d.oneOf(n, "auto", "go", "jvm", "python", "node", "native")
		}},
		{name: "after", takes: takesStrings, later: true, doc: "Services that are started before."},
		{name: "requires", takes: takesStrings, later: true, doc: "Services that must be up."},
		{name: "dry_run", takes: takesBool, def: "false", doc: "Verdicts are told, nothing is done.", set: func(d *decoder, t *target, n *node) { t.service.DryRun = d.boolean(n) }},
		{name: "output_tail", takes: takesSize, def: `"64KiB"`, doc: "Output of each instance that is kept in memory, for `vigil logs` and incidents.", set: func(d *decoder, t *target, n *node) { t.service.OutputTail = d.size(n, 1<<10, 64<<20) }},
		{name: "ready", takes: takesTable, doc: "How it tells that it serves; one of the keys. Without any it is ready when it is started.", sub: readyRows()},
		{name: "restart", takes: takesTable, doc: "What follows an end that nobody asked for.", sub: restartRows()},
		{name: "heartbeat", takes: takesTable, doc: "Signs of life by sd_notify (WATCHDOG=1). The service gets WATCHDOG_USEC.", sub: heartbeatRows()},
		{name: "capture", takes: takesTable, doc: "What is kept of a service that hangs or crashes.", sub: captureRows()},
		{name: "log", takes: takesTable, doc: "Where its output goes.", sub: logRows()},
		{name: "thread", takes: takesTables, later: true, doc: "Threads that must exist or move."},
		{name: "probe", takes: takesTables, later: true, doc: "Probes from outside."},
		{name: "output", takes: takesTables, later: true, doc: "Lines of output as signs."},
	}
}

func limitRows() []row {
	pointers := func(l *Limits) map[string]**uint64 {
		return map[string]**uint64{"nofile": &l.NoFile, "core": &l.Core, "nproc": &l.NProc, "memlock": &l.MemLock, "stack": &l.Stack,
			"as": &l.AS, "data": &l.Data, "fsize": &l.FSize, "cpu": &l.CPU, "sigpending": &l.SigPending, "msgqueue": &l.MsgQueue, "rtprio": &l.RTPrio}
	}
	var rows []row
	for _, name := range strings.Fields("nofile core nproc memlock stack as data fsize cpu sigpending msgqueue rtprio") {
		rows = append(rows, row{name: name, takes: takesLimit, def: "inherited", doc: "RLIMIT_" + strings.ToUpper(name) + " of setrlimit(2).",
			set: func(d *decoder, t *target, n *node) { *pointers(&t.service.Limits)[name] = d.limit(n) }})
	}
	return rows
}

func readyRows() []row {
	return []row{
		{name: "notify", takes: takesBool, def: "false", doc: "READY=1 on NOTIFY_SOCKET, sd_notify(3).", set: func(d *decoder, t *target, n *node) { t.service.Ready.Notify = d.boolean(n) }},
		{name: "after", takes: takesDuration, doc: "It has lived this long.", set: func(d *decoder, t *target, n *node) { t.service.Ready.After = d.duration(n, time.Millisecond) }},
		{name: "fd", takes: takesInteger, doc: "A newline on this descriptor, 3 or more.", set: func(d *decoder, t *target, n *node) { t.service.Ready.FD = d.integer(n, 3, maxReady) }},
		{name: "probe", takes: takesString, later: true, doc: "A probe succeeds."},
	}
}

func restartRows() []row {
	return []row{
		{name: "policy", takes: takesString, def: `"always"`, doc: "always, on-failure or never. An exit that nobody asked for is a failure whatever its status; on-failure lets status 0 pass.", set: func(d *decoder, t *target, n *node) { d.mode(t, n) }},
		{name: "backoff", takes: takesTable, doc: "The first retry is immediate, the further ones wait.", sub: []row{
			{name: "min", takes: takesDuration, def: `"200ms"`, doc: "Delay of the second retry.", set: func(d *decoder, t *target, n *node) { t.service.Restart.Min = d.duration(n, time.Millisecond) }},
			{name: "max", takes: takesDuration, def: `"1m"`, doc: "Longest delay.", set: func(d *decoder, t *target, n *node) { t.service.Restart.Max = d.duration(n, time.Millisecond) }},
			{name: "factor", takes: takesNumber, def: "2.0", doc: "1 to 100: how the delay grows.", set: func(d *decoder, t *target, n *node) { t.service.Restart.Factor = d.number(n, 1, 100) }},
			{name: "jitter", takes: takesNumber, def: "0.1", doc: "0 to 1: share by which a delay varies.", set: func(d *decoder, t *target, n *node) { t.service.Restart.Jitter = d.number(n, 0, 1) }},
		}},
		{name: "reset_after", takes: takesDuration, def: `"1m"`, doc: "Healthy time after which the past is forgotten.", set: func(d *decoder, t *target, n *node) { t.service.Restart.ResetAfter = d.duration(n, time.Millisecond) }},
		{name: "limit", takes: takesTable, doc: "When to give up: the service is `failed` then, until somebody starts it.", sub: []row{
			{name: "starts", takes: takesInteger, def: "10", doc: "Unasked ends; 0: never give up.", set: func(d *decoder, t *target, n *node) { t.service.Restart.LimitStarts = d.integer(n, 0, 1000) }},
			{name: "within", takes: takesDuration, def: `"10m"`, doc: "Within this time.", set: func(d *decoder, t *target, n *node) { t.service.Restart.LimitWithin = d.duration(n, time.Second) }},
		}},
	}
}

func heartbeatRows() []row {
	return []row{
		{name: "timeout", takes: takesDuration, def: "none expected", doc: "Longest silence; beyond it the service hangs: it is captured and started again.", set: func(d *decoder, t *target, n *node) { t.service.Heartbeat.Timeout = d.duration(n, 10*time.Millisecond) }},
		{name: "suspect", takes: takesDuration, def: "60 % of timeout", doc: "Silence that is told, while nothing is done.", set: func(d *decoder, t *target, n *node) { t.service.Heartbeat.Suspect = d.duration(n, time.Millisecond) }},
		{name: "file", takes: takesString, later: true, doc: "A file whose freshness counts."},
	}
}

func captureRows() []row {
	return []row{
		{name: "budget", takes: takesDuration, def: `"2s"`, doc: "Most time that a capture may hold up the restart.", set: func(d *decoder, t *target, n *node) { t.service.Capture.Budget = d.duration(n, time.Millisecond) }},
		{name: "analysis_budget", takes: takesDuration, def: `"1m"`, doc: "Most time of the analysis, which nothing waits for.", set: func(d *decoder, t *target, n *node) {
			t.service.Capture.AnalysisBudget = d.duration(n, time.Millisecond)
		}},
		{name: "variables", takes: takesBool, def: "true", doc: "Arguments and locals, of one sample of each group.", set: func(d *decoder, t *target, n *node) { t.service.Capture.Variables = d.boolean(n) }},
		{name: "keep_core", takes: takesBool, def: "false", doc: "Keep the memory. It holds every secret of the program.", set: func(d *decoder, t *target, n *node) { t.service.Capture.KeepCore = d.boolean(n) }},
		{name: "core_limit", takes: takesSize, def: `"1GiB"`, doc: "RLIMIT_CORE of a Go service, which also gets GOTRACEBACK=crash unless it has one; 0: neither.", set: func(d *decoder, t *target, n *node) { t.service.Capture.CoreLimit = d.size(n, 0, 1<<50) }},
		{name: "trace_exit", takes: takesBool, later: true, doc: "Capture every end by a permanent tracer."},
	}
}

func logRows() []row {
	return []row{
		{name: "directory", takes: takesString, def: "log, in the state directory", doc: "Directory of NAME.log.", set: func(d *decoder, t *target, n *node) { t.service.Log.Directory = d.text(n) }},
		{name: "max_size", takes: takesSize, def: `"64MiB"`, doc: "Size at which a file is rotated.", set: func(d *decoder, t *target, n *node) { t.service.Log.MaxSize = d.size(n, 4<<10, 1<<50) }},
		{name: "keep", takes: takesInteger, def: "8", doc: "Rotated files that are kept.", set: func(d *decoder, t *target, n *node) { t.service.Log.Keep = d.integer(n, 0, maxKeep) }},
		{name: "compress", takes: takesString, def: `"none"`, doc: "none. (zstd comes with a later version.)", set: func(d *decoder, t *target, n *node) { t.service.Log.Compress = d.oneOf(n, "none") }},
	}
}

func incidentRows() []row {
	return []row{
		{name: "max_bytes", takes: takesSize, def: `"4GiB"`, doc: "Most bytes of all incidents.", set: func(d *decoder, t *target, n *node) { t.incidents.MaxBytes = d.size(n, 1<<20, 1<<50) }},
		{name: "max_age", takes: takesDuration, def: `"30d"`, doc: "Oldest incident; the first and the newest of each fingerprint are spared.", set: func(d *decoder, t *target, n *node) { t.incidents.MaxAge = d.duration(n, time.Minute) }},
		{name: "min_free", takes: takesFree, def: `"10%"`, doc: "Free space that incidents leave on their file system.", set: func(d *decoder, t *target, n *node) { t.incidents.MinFree = d.free(n) }},
	}
}
