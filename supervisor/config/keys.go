package config

import (
	"syscall"
	"time"
)

// Bounds of sizes.
const (
	maxSize = 1 << 50
	maxTail = 64 << 20
)

// topRows are the keys of a file. Services have names of their own, so their
// table is read apart (loader.services).
func topRows() []row {
	return []row{
		tableRow("service", "Services, each as [service.NAME].", serviceRows()),
		tableRow("incidents", "The store of incidents.", incidentRows()),
	}
}

func serviceRows() []row {
	var rows []row
	for _, part := range [][]row{processRows(), lifeRows(), orderRows(), partRows()} {
		rows = append(rows, part...)
	}
	return rows
}

// processRows say what the process is started as.
func processRows() []row {
	return []row{
		listRow("command", "required", "Program and arguments; no shell is involved. A program without a slash is looked up in the PATH that the service gets, one with a slash from its directory.",
			func(t *target) *[]string { return &t.service.Command }),
		textRow("user", "vigil's own", "User to run as, name or number. Another one needs root.", func(t *target) *string { return &t.service.User }),
		textRow("group", "the user's", "Group to run as, name or number.", func(t *target) *string { return &t.service.Group }),
		listRow("groups", "the user's", "Supplementary groups, instead of those that the user is in.", func(t *target) *[]string { return &t.service.Groups }),
		textRow("directory", "vigil's own", "Working directory. Cores are looked for there.", func(t *target) *string { return &t.service.Directory }),
		leaf(row{name: "environment", takes: takesText, doc: "Environment variables, over the inherited ones."},
			func(t *target) *map[string]string { return &t.service.Environment },
			func(d *decoder, _ row, n *node) map[string]string { return d.variables(n) }),
		boolRow("inherit_environment", "true", "Whether vigil's own environment is inherited, without what is meant for vigil alone (NOTIFY_SOCKET, WATCHDOG_USEC, VIGIL_* and the like).",
			func(t *target) *bool { return &t.service.InheritEnvironment }),
		leaf(row{name: "umask", takes: takesUmask, unset: "vigil's own", doc: "File mode creation mask, as \"027\"."},
			func(t *target) **int { return &t.service.Umask },
			func(d *decoder, _ row, n *node) *int { return d.umask(n) }),
		optionalRow("nice", "vigil's own", "Scheduling priority; less than vigil's needs root.", -20, 19, func(t *target) **int { return &t.service.Nice }),
		optionalRow("oom_score_adj", "vigil's own", "How willingly the kernel kills it when memory is out; less than vigil's needs root.", -1000, 1000,
			func(t *target) **int { return &t.service.OOMScoreAdj }),
		boolRow("no_new_privileges", "false", "No set-user-id program gives it more rights.", func(t *target) *bool { return &t.service.NoNewPrivileges }),
	}
}

// lifeRows say how it is started, stopped and watched.
func lifeRows() []row {
	return []row{
		boolRow("autostart", "true", "Whether `vigil up` starts it.", func(t *target) *bool { return &t.service.Autostart }),
		durationRow("start_timeout", `"60s"`, "Most time until it is ready; counts only when it tells that it is ready.", time.Millisecond,
			func(t *target) *time.Duration { return &t.service.StartTimeout }),
		signalRow("stop_signal", `"TERM"`, "Signal that asks it to end.", func(t *target) *syscall.Signal { return &t.service.StopSignal }),
		durationRow("stop_timeout", `"20s"`, "How long it may take to end before all of it is killed.", time.Millisecond,
			func(t *target) *time.Duration { return &t.service.StopTimeout }),
		asksRow("reload_signal", "Signal that makes it read its configuration again, sent when vigil is reloaded and it runs on. Many programs end at HUP.",
			func(t *target) *syscall.Signal { return &t.service.ReloadSignal }),
		asksRow("reopen_signal", "Signal that makes it open its own logs anew, sent by `vigil reopen` and by USR1 to vigil. It is held back while the program has no handler for it.",
			func(t *target) *syscall.Signal { return &t.service.ReopenSignal }),
		forwardRow(),
		choiceRow("runtime", "What kind of program it is, and so how its stacks are taken; auto: told by the program's file.",
			func(t *target) *string { return &t.service.Runtime }, "auto", "go", "jvm", "python", "node", "native"),
		boolRow("dry_run", "false", "Verdicts are told, nothing is done.", func(t *target) *bool { return &t.service.DryRun }),
		sizeRow("output_tail", `"64KiB"`, "Output of each instance that is kept in memory, for `vigil logs` and incidents.", 1<<10, maxTail,
			func(t *target) *int64 { return &t.service.OutputTail }),
	}
}

// partRows are the tables of a service.
func partRows() []row {
	return []row{
		tableRow("limits", "Resource limits, see setrlimit(2); soft and hard alike.", limitRows()),
		tableRow("ready", "How it tells that it serves; one of the keys. Without any it is ready when it is started.", readyRows()),
		tableRow("restart", "What follows an end that nobody asked for.", restartRows()),
		tableRow("heartbeat", "Signs of life by sd_notify (WATCHDOG=1). With a timeout the service gets WATCHDOG_USEC.", heartbeatRows()),
		tableRow("capture", "What is kept of a service that hangs or crashes.", captureRows()),
		tableRow("log", "Where its output goes.", logRows()),
		tablesRow("thread", "Threads that must exist or move, as /proc/PID/task shows them. The program need not know.", threadRows(), openThread),
		tablesRow("probe", "Questions from outside.", probeRows(), openProbe),
		tablesRow("output", "Lines of output as signs.", outputRows(), openOutput),
	}
}
