package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// playTrace traces a process to its end, and tells what it saw.
func playTrace() {
	pid, _ := strconv.Atoi(os.Getenv("CAPTURE_TEST_PID"))
	seen := traced{}
	res, err := Trace(Target{PID: pid}, TraceOptions{
		Core: os.Getenv("CAPTURE_TEST_CORE"), Budget: 10 * time.Second,
		Attached: func() { fmt.Println("attached") },
		Ending:   func(unix.WaitStatus) { seen.Ending++ },
	})
	seen.TraceResult = res
	if err != nil {
		seen.Error = err.Error()
	}
	text, _ := json.Marshal(seen)
	fmt.Println(string(text))
}

// traced is what another process, the tracer, saw.
type traced struct {
	TraceResult
	Ending int
	Error  string
	core   string
	tracer *child
}

// begin has a target traced until it ends.
func begin(t *testing.T, pid int) *traced {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tr := &traced{core: filepath.Join(t.TempDir(), "core")}
	tr.tracer = run(t, "attached", []string{roleEnv + "=trace", "CAPTURE_TEST_PID=" + strconv.Itoa(pid), "CAPTURE_TEST_CORE=" + tr.core}, self)
	return tr
}

// wait waits for the end of the tracing.
func (tr *traced) wait(t *testing.T) *traced {
	t.Helper()
	select {
	case line := <-tr.tracer.lines:
		if err := json.Unmarshal([]byte(line), tr); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the tracing does not end")
	}
	if tr.Error != "" {
		t.Fatal(tr.Error)
	}
	return tr
}

func TestTraceCapturesAnEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		want   string // as a parent sees it, too
	}{
		{"SIGKILL, which no program sees", unix.SIGKILL, "signal KILL"},
		{"SIGQUIT, at which Go prints and exits", unix.SIGQUIT, "status 2"},
		{"SIGSEGV of another", unix.SIGSEGV, "status 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := run(t, "ready", []string{"TARGET_IDLE=100", "TARGET_THREADS=20"}, fixture(t))
			tr := begin(t, c.pid)
			c.answers(t)
			if err := syscall.Kill(c.pid, tt.signal); err != nil {
				t.Fatal(err)
			}
			res := tr.wait(t)
			if !res.Captured || !res.Core || tr.Ending != 1 || EndOf(res.Status) != tt.want || res.Freeze.Method != "trace" || len(res.Missing) > 0 {
				t.Errorf("captured %v, core %v, told %d times, %s, by %q, missing %q", res.Captured, res.Core, tr.Ending, EndOf(res.Status), res.Freeze.Method, res.Missing)
			}
			if res.Freeze.Threads < 21 {
				t.Errorf("%d threads", res.Freeze.Threads)
			}
			_ = c.cmd.Wait() // its end is the error
			if got := EndOf(unix.WaitStatus(c.cmd.ProcessState.Sys().(syscall.WaitStatus))); got != tt.want {
				t.Errorf("the parent saw %s, want %s", got, tt.want)
			}
			owner, tids, err := OwnerOf(tr.core)
			if err != nil || owner != c.pid || len(tids) != res.Freeze.Threads {
				t.Errorf("the core is of %d with %d threads: %v", owner, len(tids), err)
			}
			if info, err := os.Stat(tr.core); err != nil || info.Mode().Perm() != 0o600 || info.Size() < 1<<20 {
				t.Errorf("%v %v", info, err)
			}
		})
	}
}

func TestTraceLetsAGoodEndPass(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	tr := begin(t, c.pid)
	if err := c.in.Close(); err != nil {
		t.Fatal(err)
	}
	if res := tr.wait(t); res.Captured || tr.Ending != 0 {
		t.Errorf("%+v", res)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(tr.core); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a core: %v", err)
	}
}

// A tracer that is killed leaves the target as it was.
func TestTraceKilledTracer(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_THREADS=20"}, fixture(t))
	for range 20 {
		tr := begin(t, c.pid)
		for range 3 {
			if err := syscall.Kill(c.pid, unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
		}
		tr.tracer.kill()
		free(t, c.pid)
		c.answers(t)
	}
}

// Threads that end alone end as ever: whoever joins them goes on.
func TestTraceLetsThreadsEnd(t *testing.T) {
	python, err := filepath.EvalSymlinks("/usr/bin/python3")
	if err != nil {
		t.Skip("this test needs a program whose threads end, and python3 is missing: as root, run scripts/install-test-deps.sh")
	}
	c := run(t, "ready", nil, python, "-c", `
import sys, threading
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(200):
        t = threading.Thread(target=lambda: None)
        t.start()
        t.join()
    print("echo " + line.strip(), flush=True)
`)
	tr := begin(t, c.pid)
	c.answers(t)
	c.kill()
	if res := tr.wait(t); !res.Captured || EndOf(res.Status) != "signal KILL" {
		t.Errorf("%+v", res)
	}
}

func TestTraceLosesNoSignal(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	begin(t, c.pid)
	const all = 300
	for i := range all {
		if err := syscall.Kill(c.pid, unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		c.expect(t, fmt.Sprintf("usr1 %d", i+1)) // standard signals do not queue
	}
}

func TestTraceLeavesStopAndContinueAlone(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	begin(t, c.pid)
	for range 5 {
		if err := syscall.Kill(c.pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		awaitState(t, c.pid, "only T, t", func(s string) bool { return s != "" && strings.Trim(s, "Tt") == "" })
		if err := syscall.Kill(c.pid, unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		c.answers(t)
	}
}

func TestTraceRefused(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	begin(t, c.pid)
	if _, err := Trace(Target{PID: c.pid}, TraceOptions{Budget: time.Second}); !errors.Is(err, ErrTraced) && !errors.Is(err, ErrDenied) {
		t.Errorf("the second tracer: %v", err)
	}
	if _, err := Trace(Target{PID: 1 << 30}, TraceOptions{Budget: time.Second}); !errors.Is(err, ErrGone) {
		t.Errorf("of nobody: %v", err)
	}
	c.answers(t)
}
