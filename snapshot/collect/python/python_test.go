package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 20 * time.Second

// program waits in a thread for a lock and in two for the end of a sleep.
const program = `
import faulthandler, signal, sys, threading, time
if "register" in sys.argv: faulthandler.register(signal.SIGUSR1)
if "enable" in sys.argv: faulthandler.enable()
lock = threading.Lock()
lock.acquire()
started = threading.Barrier(4 + int(sys.argv[1]))
def blocked():
    started.wait()
    lock.acquire()
def napping():
    started.wait()
    time.sleep(1000)
threading.Thread(target=blocked, daemon=True).start()
for _ in range(2 + int(sys.argv[1])): threading.Thread(target=napping, daemon=True).start()
started.wait()
print("ready", flush=True)
sys.stdin.read()
`

// start runs the program with its output in a file.
func start(t *testing.T, args ...string) (cmd *exec.Cmd, output string) {
	t.Helper()
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip("python3 is not installed (scripts/install-test-deps.sh)")
	}
	output = filepath.Join(t.TempDir(), "output")
	file, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd = exec.Command(python, append([]string{"-c", program}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = in.Close()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(output)
		if strings.Contains(string(text), "ready") {
			return cmd, output
		}
		if time.Now().After(end) {
			t.Fatalf("it was not ready: %s", text)
		}
	}
}

// settle waits until as many threads sleep as must, and one waits for the lock.
func settle(t *testing.T, pid, sleepers int) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		asleep, locked := 0, 0
		for _, k := range native.Tasks(pid) {
			switch k.Wait {
			case "sleep":
				asleep++
			case "futex":
				locked++
			}
		}
		if asleep == sleepers && locked == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d threads sleep, %d wait for the lock", asleep, locked)
		}
	}
}

func find(s *snapshot.Stacks, function string) (snapshot.Group, bool) {
	for _, g := range s.Groups {
		for _, f := range g.Frames {
			if f.Function == function {
				return g, true
			}
		}
	}
	return snapshot.Group{}, false
}

func TestRegisteredSignal(t *testing.T) {
	cmd, output := start(t, "0", "register")
	settle(t, cmd.Process.Pid, 2)
	for _, names := range [][]string{{output}, nil} { // nil: by its descriptors
		res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Signal: "SIGUSR1", Output: names, Budget: limit})
		if err != nil || res.Stacks == nil || res.Stacks.Source != Source || res.Stacks.Unwound != 4 || len(res.Missing) != 0 {
			t.Fatalf("%v, %+v", err, res)
		}
		g, ok := find(res.Stacks, "blocked")
		if !ok || g.Frames[0].Line != 10 || g.Members[0].TID == 0 || g.WaitReason != "lock" || g.Status != "waiting" || g.Start.Function != "blocked" {
			t.Errorf("%+v", g)
		}
		if g, ok := find(res.Stacks, "napping"); !ok || g.Count != 2 {
			t.Errorf("%+v", g)
		}
		if res.Report.Version == "" || !strings.Contains(string(res.Dump), "most recent call first") {
			t.Errorf("%+v", res.Report)
		}
	}
}

func TestMoreThanAHundredThreads(t *testing.T) {
	cmd, output := start(t, "120", "register")
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Signal: "SIGUSR1", Output: []string{output}, Budget: limit})
	if err != nil || res.Stacks == nil || res.Stacks.Unwound != 100 || res.Stacks.Total != 124 || len(res.Stacks.Notes) != 1 {
		t.Fatalf("%v, %+v", err, res.Stacks)
	}
}

// TestNoHandler: a signal that would end the program is not sent, and the
// machine's frames come with what to do.
func TestNoHandler(t *testing.T) {
	cmd, output := start(t, "0")
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Signal: "SIGUSR1", Output: []string{output}, Budget: limit, Lethal: true})
	if err != nil || res.Stacks == nil || res.Stacks.Source == Source || res.Stacks.Runtime != Runtime || res.Stacks.Unwound != 4 {
		t.Fatalf("%v, %+v", err, res)
	}
	if text := strings.Join(res.Missing, "\n"); !strings.Contains(text, "no handler for SIGUSR1") || !strings.Contains(text, "no handler for SIGABRT") || !strings.Contains(text, "faulthandler.register") {
		t.Error(text)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}

func TestLethal(t *testing.T) {
	cmd, output := start(t, "0", "enable")
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Output: []string{output}, Budget: limit})
	if err != nil || res.Stacks == nil || res.Stacks.Source == Source {
		t.Fatalf("%v, %+v", err, res)
	}
	res, err = Collect(t.Context(), Options{PID: cmd.Process.Pid, Output: []string{output}, Budget: limit, Lethal: true})
	if err != nil || res.Stacks == nil || res.Stacks.Source != Source || res.Stacks.Unwound != 4 || len(res.Report.Notes) != 1 {
		t.Fatalf("%v, %+v", err, res)
	}
	if _, ok := find(res.Stacks, "blocked"); !ok {
		t.Errorf("%+v", res.Stacks)
	}
}

const report = `noise
Thread 0x00007f17f77fe6c0 [worker 1] (most recent call first):
  File "/a, line 3 in b.py", line 7 in work
  File "<string>", line ??? in <module>
noise
  File "x.py", line 9 in main
  ...

Current thread 0x00007f17fd147040 (most recent call first):
  <no Python frame>
...
`

func TestParse(t *testing.T) {
	threads, more := parse([]byte(report))
	if len(threads) != 2 || !more || threads[0].name != "worker 1" || !threads[0].cut || len(threads[0].frames) != 3 || !threads[1].current {
		t.Fatalf("%+v", threads)
	}
	if f := threads[0].frames[0]; f.File != "/a, line 3 in b.py" || f.Line != 7 || f.Function != "work" {
		t.Errorf("%+v", f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(report))
	f.Add([]byte("Thread 0xz (most recent call first):\n  File , line 1 in \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		threads, _ := parse(text)
		for _, th := range threads {
			if len(th.frames) > maxFrames {
				t.Errorf("%d frames", len(th.frames))
			}
			_ = idle(th.frames, reason(th.frames, "poll"))
		}
	})
}
