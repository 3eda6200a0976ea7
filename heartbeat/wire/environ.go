package wire

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// PIDPlaceholder stands in an environment for the pid of the child that will
// have it. WATCHDOG_PID must equal the pid of the reader (sd_watchdog_enabled
// ignores the watchdog otherwise) and is unknown until the fork; the keeper
// replaces the whole placeholder by the decimal pid, without padding, before
// it executes the command.
const PIDPlaceholder = "@VIGIL_CHILD_PID@"

// Environ returns the variables that tell a child where and how often to
// report: NOTIFY_SOCKET when socketPath is not empty, and, when watchdog is at
// least a microsecond, WATCHDOG_USEC and WATCHDOG_PID. A pid of 0 means that it
// is not known yet and gives PIDPlaceholder. A negative pid leaves WATCHDOG_PID
// out: clients read that as "any process of the service", which is right when
// the command is a script that ends by starting the real one.
func Environ(socketPath string, watchdog time.Duration, pid int) []string {
	var env []string
	if socketPath != "" {
		env = append(env, "NOTIFY_SOCKET="+socketPath)
	}
	if watchdog < time.Microsecond {
		return env
	}
	env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(watchdog.Microseconds(), 10))
	switch {
	case pid > 0:
		env = append(env, "WATCHDOG_PID="+strconv.Itoa(pid))
	case pid == 0:
		env = append(env, "WATCHDOG_PID="+PIDPlaceholder)
	}
	return env
}

// Private says that a variable of vigil's own environment must not reach a
// child, since it was true of vigil and is false of the child.
//
// Of systemd's variables these are the protocol ones (a child that used the
// outer NOTIFY_SOCKET would speak for vigil; LISTEN_FDS would name descriptors
// that it does not have) and those that name the outer unit's run:
// INVOCATION_ID and JOURNAL_STREAM are among them because programs take them
// as proof that systemd started them directly and that standard error is the
// journal; behind vigil it is a pipe. What the operator gave on purpose
// (CREDENTIALS_DIRECTORY, STATE_DIRECTORY and the like) stays.
//
// Of our own it is everything that begins with VIGIL_: markers, instance
// names, descriptor numbers.
func Private(name string) bool {
	if strings.HasPrefix(name, "VIGIL_") || strings.HasPrefix(name, "MONITOR_") {
		return true
	}
	switch name {
	case GimliFD, GimliMonitor, // of a monitor that vigil itself runs under
		"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
		"FDSTORE", "MAINPID", "MANAGERPID", "MANAGERPIDFDID", "SYSTEMD_EXEC_PID",
		"INVOCATION_ID", "JOURNAL_STREAM",
		"MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
		"SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS":
		return true
	}
	return false
}

// Scrub returns env ("NAME=value") without the variables that are Private. The
// argument is not changed.
func Scrub(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return Private(name)
	})
}
