package intake

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/spawn"
	"github.com/vigil-supervisor/vigil/signals"
)

// roleVar makes the test binary play the process under test, or a sender.
const roleVar = "INTAKE_TEST_ROLE"

// marker is a signal that is delivered after all standard ones.
const marker = syscall.Signal(40)

var taken = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, marker}

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVar); role {
	case "":
		goleak.VerifyTestMain(m)
	case "unmask":
		must(Unmask())
		receive()
	case "receive", "load":
		if role == "load" {
			load()
		}
		receive()
	case "window":
		window()
	case "full":
		full()
	case "send":
		send()
	default:
		must(fmt.Errorf("no role %q", role))
	}
	os.Exit(0)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// said is one line of the process under test.
type said struct {
	Record *signals.Record `json:",omitempty"`
	Lines  []string        `json:",omitempty"`
}

// receive tells of every record, and answers the words it reads; it ends with
// its input.
func receive() {
	in, err := Start(taken...)
	must(err)
	out := json.NewEncoder(os.Stdout)
	must(out.Encode(said{Lines: []string{"ready"}}))
	words := make(chan string)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			words <- lines.Text()
		}
		close(words)
	}()
	for {
		select {
		case <-in.Ready():
			for _, r := range in.Take() {
				must(out.Encode(said{Record: &r}))
			}
		case word, ok := <-words:
			if !ok {
				return
			}
			must(out.Encode(said{Lines: answer(word)}))
		}
	}
}

func answer(word string) []string {
	switch word {
	case "exec":
		b, err := exec.Command("cat", "/proc/self/status").Output()
		must(err)
		return masks(string(b))
	case "spawn":
		return spawned()
	case "threads":
		var all []string
		files, _ := filepath.Glob("/proc/self/task/*/status")
		for _, f := range files {
			b, _ := os.ReadFile(f) // the thread may be gone
			all = append(all, masks(string(b))...)
		}
		return all
	case "environ":
		return os.Environ()
	}
	return nil
}

// masks are the lines of proc_pid_status(5) that a child must find empty.
func masks(status string) (lines []string) {
	for line := range strings.Lines(status) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name == "SigBlk" || name == "SigIgn" {
			lines = append(lines, name+" "+strings.TrimSpace(value))
		}
	}
	return lines
}

func spawned() []string {
	path, err := exec.LookPath("cat")
	must(err)
	r, w, err := os.Pipe()
	must(err)
	defer r.Close()
	spec := spawn.New(path, "/proc/self/status")
	spec.Stdout = int(w.Fd())
	_, pidfd, err := spawn.Start(spec)
	must(err)
	w.Close()
	var lines []string
	for scan := bufio.NewScanner(r); scan.Scan(); {
		lines = append(lines, masks(scan.Text())...)
	}
	var info unix.Siginfo
	must(unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED, nil))
	unix.Close(pidfd)
	return lines
}

// load keeps the collector, the scheduler and fork busy. It leaves the runtime
// one idle processor: with none, sysmon asks the poller only every 10 ms.
func load() {
	debug.SetGCPercent(20)
	go func() {
		var keep [64][]byte
		for i := 0; ; i++ {
			keep[i%len(keep)] = make([]byte, 16<<10)
			runtime.Gosched()
		}
	}()
	go func() {
		for {
			must(exec.Command("true").Run())
		}
	}()
}

func monotonic() time.Duration {
	var ts unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	return time.Duration(ts.Nano())
}

// window tells when main began and when all handlers were in place.
func window() {
	begin := monotonic()
	must(Unmask())
	_, err := Start(taken...)
	must(err)
	fmt.Println(int64(begin), int64(monotonic()))
}

// full sends signals to its own thread, each delivered before tgkill returns:
// first without a reader, then against one that has a pipe of one page.
func full() {
	runtime.LockOSThread()
	toSelf := func(sig syscall.Signal, n int) {
		for range n {
			must(unix.Tgkill(os.Getpid(), unix.Gettid(), sig))
		}
	}
	size := pipeSize
	if os.Args[1] == "small" {
		size = 4096
	}
	in, err := open(size)
	must(err)
	must(install(syscall.SIGHUP))
	must(install(syscall.SIGUSR1))
	if size == pipeSize {
		toSelf(syscall.SIGHUP, 10_000)
		toSelf(syscall.SIGUSR1, 100)
	}
	go in.read(false)
	if size != pipeSize {
		toSelf(syscall.SIGHUP, 100_000)
		toSelf(syscall.SIGUSR1, 1000)
	}
	count, unnamed := map[syscall.Signal]int{}, map[syscall.Signal]int{}
	want := map[syscall.Signal]int{syscall.SIGHUP: 10_000, syscall.SIGUSR1: 100}
	if size != pipeSize {
		want = map[syscall.Signal]int{syscall.SIGHUP: 100_000, syscall.SIGUSR1: 1000}
	}
	for count[syscall.SIGHUP] < want[syscall.SIGHUP] || count[syscall.SIGUSR1] < want[syscall.SIGUSR1] {
		select {
		case <-in.Ready():
		case <-time.After(20 * time.Second):
			must(fmt.Errorf("counted %v of %v", count, want))
		}
		for _, r := range in.Take() {
			count[r.Signal] += r.Count
			unnamed[r.Signal] += r.Unnamed
			if r.Unnamed < r.Count && (r.Sender.PID != os.Getpid() || r.Code != signals.CodeTKill) {
				must(fmt.Errorf("record %+v", r))
			}
		}
	}
	fmt.Println(count[syscall.SIGHUP], count[syscall.SIGUSR1], unnamed[syscall.SIGHUP], unnamed[syscall.SIGUSR1])
}

// send sends argument 2 times signal argument 1 to process argument 0.
func send() {
	var pid, sig, n int
	_, err := fmt.Sscan(strings.Join(os.Args[1:], " "), &pid, &sig, &n)
	must(err)
	for range n {
		must(syscall.Kill(pid, syscall.Signal(sig)))
	}
}
