package capture

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Reasons why a process cannot be captured; errors of this package wrap them.
var (
	ErrGone   = errors.New("capture: the process does not exist")
	ErrReused = errors.New("capture: the pid belongs to another process now")
	ErrTraced = errors.New("capture: the process is traced by another process")
	ErrDenied = errors.New("capture: the kernel denies tracing")
)

// explain turns the errno of PTRACE_SEIZE of a live thread into a reason.
func explain(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot trace process %d: %w", pid, ErrGone)
	}
	if tracer := statusField(pid, "TracerPid:"); tracer != "" && tracer != "0" {
		return fmt.Errorf("cannot trace process %d: tracer is pid %s: %w", pid, tracer, ErrTraced)
	}
	var why []string
	if uids := strings.Fields(statusField(pid, "Uid:")); len(uids) > 0 && uids[0] != fmt.Sprint(os.Getuid()) {
		why = append(why, fmt.Sprintf("it has uid %s, we have %d", uids[0], os.Getuid()))
	}
	if scope, e := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); e == nil && strings.TrimSpace(string(scope)) != "0" {
		why = append(why, "kernel.yama.ptrace_scope is "+strings.TrimSpace(string(scope)))
	}
	if len(why) == 0 {
		why = append(why, "it is not dumpable, or a security module or seccomp filter forbids it")
	}
	return fmt.Errorf("cannot trace process %d: %w: %s (%w); CAP_SYS_PTRACE is needed", pid, err, strings.Join(why, "; "), ErrDenied)
}

// statusField returns one value of /proc/PID/status, "" when there is none.
func statusField(pid int, name string) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
