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
	return startWith(t, python, args...)
}

func startWith(t *testing.T, python string, args ...string) (cmd *exec.Cmd, output string) {
	t.Helper()
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
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
	if res.Stacks.Source == SourceMemory {
		t.Skip("this python3 is read from its memory")
	}
	if text := strings.Join(res.Missing, "\n"); !strings.Contains(text, "no handler for SIGUSR1") || !strings.Contains(text, "no handler for SIGABRT") || !strings.Contains(text, "faulthandler.register") {
		t.Error(text)
	}
}

func TestLethal(t *testing.T) {
	cmd, output := start(t, "0", "enable")
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Output: []string{output}, Budget: limit})
	if err != nil || res.Stacks == nil || res.Stacks.Source == Source {
		t.Fatalf("%v, %+v", err, res)
	}
	if res.Stacks.Source == SourceMemory {
		t.Skip("this python3 is read from its memory")
	}
	res, err = Collect(t.Context(), Options{PID: cmd.Process.Pid, Output: []string{output}, Budget: limit, Lethal: true})
	if err != nil || res.Stacks == nil || res.Stacks.Source != Source || res.Stacks.Unwound != 4 || len(res.Report.Notes) != 1 {
		t.Fatalf("%v, %+v", err, res)
	}
	if _, ok := find(res.Stacks, "blocked"); !ok {
		t.Errorf("%+v", res.Stacks)
	}
}

// TestMemory: CPython 3.13 is read without its help, also while a thread holds the
// lock of the interpreter for good.
func TestMemory(t *testing.T) {
	exe := python313(t)
	cmd, _ := startWith(t, exe, "0")
	settle(t, cmd.Process.Pid, 2)
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Budget: limit})
	if err != nil || res.Stacks == nil || res.Stacks.Source != SourceMemory || res.Stacks.Unwound != 4 || len(res.Missing) != 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	g, ok := find(res.Stacks, "blocked")
	if !ok || g.Frames[0].Line != 10 || g.Members[0].TID == 0 || g.WaitReason != "lock" || g.Start.Function != "blocked" || len(g.Frames) != 4 {
		t.Errorf("%+v", g)
	}
	if g, ok := find(res.Stacks, "napping"); !ok || g.Count != 2 || g.Frames[0].Line != 13 {
		t.Errorf("%+v", g)
	}
	if g, ok := find(res.Stacks, "<module>"); !ok || g.Frames[0].Line != 18 {
		t.Errorf("%+v", g)
	}
	if !strings.HasPrefix(res.Report.Version, "3.13.") {
		t.Errorf("%+v", res.Report)
	}
}

// python313 finds a CPython 3.13, which is not everywhere.
func python313(t *testing.T) string {
	t.Helper()
	places, _ := filepath.Glob(os.Getenv("HOME") + "/.pyenv/versions/3.13.*/bin/python3.13")
	for _, name := range append(places, "python3.13") {
		exe, err := exec.LookPath(name)
		if err == nil && exec.Command(exe, "-c", "").Run() == nil {
			return exe
		}
	}
	t.Skip("no python3.13 is installed")
	return ""
}

func TestLineAt(t *testing.T) {
	// Three units on line 5 (kind 10), one on 7 (12), two without a line, one 3 up.
	table := []byte{0x80 | 10<<3 | 2, 1, 1, 0x80 | 12<<3, 1, 1, 0x80 | 15<<3 | 1, 0x80 | 13<<3, 3<<1 | 1}
	for unit, want := range []int{5, 5, 5, 7, 0, 0, 4, 0} {
		if got := lineAt(table, 5, unit); got != want {
			t.Errorf("unit %d: line %d, want %d", unit, got, want)
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte(cookie+strings.Repeat("\x00", words313*8)), 5)
	f.Add([]byte{0x80 | 13<<3, 0x7f, 0x7f, 0x7f}, 0)
	f.Fuzz(func(t *testing.T, b []byte, unit int) {
		_, _ = parseOffsets(b)
		if line := lineAt(b, 1, unit); line < 0 || line > maxLine {
			t.Error(line)
		}
		for _, kind := range []int{1, 2, 4} {
			_ = decode(b, kind)
		}
	})
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
