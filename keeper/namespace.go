package keeper

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// initialNamespace is the inode number of the first pid namespace, the same on
// every machine (PROC_PID_INIT_INO, linux/proc_ns.h).
const initialNamespace = 0xEFFFFFFC

// namespaceSuffix tells pids of different pid namespaces apart: "-INODE", or
// nothing in the initial one, namespaces(7).
func namespaceSuffix() string {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil || st.Ino == initialNamespace {
		return ""
	}
	return "-" + strconv.FormatUint(st.Ino, 10)
}

// fatal are the signals that end a Go program with a traceback, whoever sends
// them. The kernel drops them for a pid 1 that has no handler (kill(2)), but
// the Go runtime has one for each, and would end the whole container.
var fatal = []os.Signal{
	syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV,
	syscall.SIGSYS,
}

// takeFatalSignals makes signals that somebody sends to pid 1 ordinary ones:
// they do nothing. A fault of our own still ends the keeper,
// because the runtime tells the two apart by si_code, sigaction(2). A keeper
// that is not pid 1 keeps the traceback: it is how a hang of it is looked into.
func takeFatalSignals(pid int) (stop func()) {
	nobody := make(chan os.Signal, 1)
	if pid == 1 {
		signal.Notify(nobody, fatal...)
	}
	return func() { signal.Stop(nobody) }
}

// checkProc fails when /proc is that of another pid namespace: the pids in it
// are not ours, and we would look at, and signal, other processes than we mean.
func checkProc(pid int) error {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("cannot find ourselves in /proc: %w; vigil needs a proc file system there", err)
	}
	if self != strconv.Itoa(pid) {
		return fmt.Errorf("cannot use /proc: it is of another pid namespace (we are %d, it says %s); mount one of this namespace, as unshare --mount-proc does", pid, self)
	}
	return nil
}
