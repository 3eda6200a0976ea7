package config

import (
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Bounds of counts.
const (
	maxKeep  = 1000
	maxReady = 255
)

func limitRows() []row {
	return []row{
		limitRow("nofile", func(l *Limits) **uint64 { return &l.NoFile }),
		limitRow("core", func(l *Limits) **uint64 { return &l.Core }),
		limitRow("nproc", func(l *Limits) **uint64 { return &l.NProc }),
		limitRow("memlock", func(l *Limits) **uint64 { return &l.MemLock }),
		limitRow("stack", func(l *Limits) **uint64 { return &l.Stack }),
		limitRow("as", func(l *Limits) **uint64 { return &l.AS }),
		limitRow("data", func(l *Limits) **uint64 { return &l.Data }),
		limitRow("fsize", func(l *Limits) **uint64 { return &l.FSize }),
		limitRow("cpu", func(l *Limits) **uint64 { return &l.CPU }),
		limitRow("sigpending", func(l *Limits) **uint64 { return &l.SigPending }),
		limitRow("msgqueue", func(l *Limits) **uint64 { return &l.MsgQueue }),
		limitRow("rtprio", func(l *Limits) **uint64 { return &l.RTPrio }),
	}
}

func readyRows() []row {
	return []row{
		boolRow("notify", "false", "READY=1 on NOTIFY_SOCKET, sd_notify(3).", func(t *target) *bool { return &t.service.Ready.Notify }),
		durationRow("after", "", "It has lived this long.", time.Millisecond, func(t *target) *time.Duration { return &t.service.Ready.After }),
		intRow("fd", "", "A newline on this descriptor.", 3, maxReady, func(t *target) *int { return &t.service.Ready.FD }),
		textRow("probe", "", "The probe of this name succeeds.", func(t *target) *string { return &t.service.Ready.Probe }),
	}
}

func restartRows() []row {
	return []row{
		choiceRow("policy", "Which ends are followed by a restart. An exit that nobody asked for is a failure whatever its status; on-failure lets status 0 pass.",
			func(t *target) *string { return (*string)(&t.service.Restart.Mode) }, modeNames()...),
		tableRow("backoff", "The first retry is immediate, the further ones wait.", []row{
			durationRow("min", `"200ms"`, "Delay of the second retry.", time.Millisecond, func(t *target) *time.Duration { return &t.service.Restart.Min }),
			durationRow("max", `"1m"`, "Longest delay.", time.Millisecond, func(t *target) *time.Duration { return &t.service.Restart.Max }),
			numberRow("factor", "2.0", "How the delay grows.", 1, 100, func(t *target) *float64 { return &t.service.Restart.Factor }),
			numberRow("jitter", "0.1", "Share by which a delay varies.", 0, 1, func(t *target) *float64 { return &t.service.Restart.Jitter }),
		}),
		durationRow("reset_after", `"1m"`, "Healthy time after which the past is forgotten.", time.Millisecond,
			func(t *target) *time.Duration { return &t.service.Restart.ResetAfter }),
		tableRow("limit", "When to give up: the service is `failed` then, until somebody starts it.", []row{
			intRow("starts", "10", "Ends that nobody asked for; 0: never give up.", 0, restart.MaxLimitStarts, func(t *target) *int { return &t.service.Restart.LimitStarts }),
			durationRow("within", `"10m"`, "Time in which they count.", time.Second, func(t *target) *time.Duration { return &t.service.Restart.LimitWithin }),
		}),
	}
}

func modeNames() []string {
	var names []string
	for _, m := range restart.Modes() {
		names = append(names, string(m))
	}
	return names
}

func heartbeatRows() []row {
	return []row{
		durationRow("timeout", "", "Longest silence; beyond it the service hangs: it is captured and started again.", 10*time.Millisecond,
			func(t *target) *time.Duration { return &t.service.Heartbeat.Timeout }).withUnset("none expected"),
		durationRow("suspect", "", "Silence that is told, while nothing is done; shorter than timeout.", time.Millisecond,
			func(t *target) *time.Duration { return &t.service.Heartbeat.Suspect }).withUnset("60 % of timeout"),
		intRow("activities", "63", "Named activities that it can have in the shared page (VIGIL_HEARTBEAT_FD); 0: no page. 63 fit into 4 KiB.", 0, maxActivities,
			func(t *target) *int { return &t.service.Heartbeat.Activities }),
		boolRow("gimli", "false", "The program is linked with libgimli: it is watched by its shared memory, captured at its fault, and then let end by itself. "+
			"Limits: of starting start_timeout (unless set: 200s), of running timeout (60s), of stopping stop_timeout (60s).",
			func(t *target) *bool { return &t.service.Heartbeat.Gimli }),
		textRow("file", "", "A file that it changes again and again, by an absolute path: its changes are the beats, instead of WATCHDOG=1. It may be replaced, removed and made again, with its directory.",
			func(t *target) *string { return &t.service.Heartbeat.File }),
	}
}

func captureRows() []row {
	return []row{
		durationRow("budget", "", "Most time that a capture may hold up the restart.", time.Millisecond,
			func(t *target) *time.Duration { return &t.service.Capture.Budget }).withUnset("2s; 5s of a JVM, which dumps its threads itself"),
		durationRow("analysis_budget", `"1m"`, "Most time of the analysis, which nothing waits for.", time.Millisecond,
			func(t *target) *time.Duration { return &t.service.Capture.AnalysisBudget }),
		boolRow("variables", "true", "Arguments and locals, of one sample of each group of stacks.", func(t *target) *bool { return &t.service.Capture.Variables }),
		boolRow("recorder", "true", "Keep a sample a second of the last 15 minutes (20 KiB), for incidents.", func(t *target) *bool { return &t.service.Capture.Recorder }),
		boolRow("keep_core", "false", "Keep the memory. It holds every secret of the program.", func(t *target) *bool { return &t.service.Capture.KeepCore }),
		sizeRow("core_limit", `"1GiB"`, "RLIMIT_CORE of a Go service, which also gets GOTRACEBACK=crash unless it has one; 0: neither.", 0, maxSize,
			func(t *target) *int64 { return &t.service.Capture.CoreLimit }),
		asksRow("dump_signal", "Signal at which the program writes the stacks of its threads to its output and goes on, as faulthandler.register of Python. It is sent only to a program that catches it.",
			func(t *target) *syscall.Signal { return &t.service.Capture.DumpSignal }),
		boolRow("trace_exit", "false", "A permanent tracer stands beside the process and captures every end that nobody asked for, also one by SIGKILL. It costs a stop for each signal that is delivered, and no debugger can attach; no core of the kernel is asked for then.",
			func(t *target) *bool { return &t.service.Capture.TraceExit }),
	}
}

func logRows() []row {
	return []row{
		textRow("directory", "log, in the state directory", "Directory of NAME.log.", func(t *target) *string { return &t.service.Log.Directory }),
		sizeRow("max_size", `"64MiB"`, "Size at which a file is rotated.", 4<<10, maxSize, func(t *target) *int64 { return &t.service.Log.MaxSize }),
		intRow("keep", "8", "Rotated files that are kept.", 0, maxKeep, func(t *target) *int { return &t.service.Log.Keep }),
		choiceRow("compress", "Of files that vigil has rotated, one at a time and at the lowest priority.", func(t *target) *string { return &t.service.Log.Compress }, "zstd", "none"),
		leaf(row{name: "min_free", takes: takesFree, def: `"5%"`, doc: "Free space that the log leaves on its file system; a percentage asks for 4 GiB at most. With less, the oldest rotated files go, then nothing is written and the newest output waits in memory."},
			func(t *target) *Free { return &t.service.Log.MinFree },
			func(d *decoder, _ row, n *node) Free { return d.free(n) }),
	}
}

func incidentRows() []row {
	return []row{
		sizeRow("max_bytes", `"4GiB"`, "Most bytes of all incidents. Large files of old ones go first (memory, then those of collectors), then whole incidents; see [incidents.md](incidents.md).", 1<<20, maxSize, func(t *target) *int64 { return &t.incidents.MaxBytes }),
		durationRow("max_age", `"30d"`, "Oldest incident; the first and the newest of each fingerprint are spared.", time.Minute,
			func(t *target) *time.Duration { return &t.incidents.MaxAge }),
		leaf(row{name: "min_free", takes: takesFree, def: `"10%"`, doc: "Free space that incidents leave on their file system."},
			func(t *target) *Free { return &t.incidents.MinFree },
			func(d *decoder, _ row, n *node) Free { return d.free(n) }),
		leaf(row{name: "min_free_inodes", takes: takesShare, def: `"5%"`, doc: "Free inodes that incidents leave on their file system. One that has no fixed number of them (Btrfs) has no such floor."},
			func(t *target) *float64 { return &t.incidents.MinFreeInodes },
			func(d *decoder, _ row, n *node) float64 { return d.share(n) }),
		intRow("max_per_fingerprint", "100", "Most incidents of one fingerprint of one service: the first, the newest, and the newest of those between.", 2, 10_000,
			func(t *target) *int { return &t.incidents.MaxPerFingerprint }),
	}
}
