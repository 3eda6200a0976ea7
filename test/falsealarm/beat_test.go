package falsealarm

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// beatVariable makes the test binary a service that beats: a role of beatRoles, a
// blank, and the directory in which it looks for orders.
const beatVariable = "FALSEALARM_BEATS"

const pace = 100 * time.Millisecond

// beatRoles are what a service does between two beats.
var beatRoles = map[string]func(){
	"beats": func() { <-time.After(pace) },
	"works": func() { work(pace) },
}

// orders are what it may be told to do, once, by a file of that name.
var orders = map[string]func(){
	"hang":    func() { select {} },
	"vfork":   stayInVfork,
	"collect": collect,
}

// beat beats until an order ends that.
func beat(between func(), dir string) {
	say("READY=1")
	for {
		between()
		for name, do := range orders {
			if os.Remove(filepath.Join(dir, name)) == nil {
				do()
			}
		}
		say("WATCHDOG=1")
	}
}

func say(text string) {
	if _, err := daemon.SdNotify(false, text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// work uses a processor for that long.
func work(d time.Duration) {
	for begin := used(); used()-begin < d; {
		for n := range 10_000 {
			spun = n
		}
	}
}

// used is the processor time of this process.
func used() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// collection is far longer than the limit.
const collection = 3 * silence

// collect plays a garbage collection that stops everything, and says so before.
func collect() {
	say(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (collection + 30*time.Second).Microseconds()))
	<-time.After(collection)
}

// stayInVfork makes a child that runs in the stead of this thread until it ends,
// vfork(2); with a copy of the memory, and it only waits to be ended.
func stayInVfork() {
	pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, unix.CLONE_VFORK|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if pid == 0 {
		syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
	}
	for pid == 0 {
		syscall.RawSyscall(syscall.SYS_PPOLL, 0, 0, 0)
	}
	var status unix.WaitStatus
	_, _ = unix.Wait4(int(pid), &status, 0, nil)
}
