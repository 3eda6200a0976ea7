package node

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 20 * time.Second

// start runs a script in its own directory until it says that it is ready.
func start(t *testing.T, script string, options ...string) *exec.Cmd {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("nodejs is not installed (scripts/install-test-deps.sh)")
	}
	cmd := exec.Command(node, append(options, "-e", script)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "API_TOKEN=hidden-value")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- line
	}()
	select {
	case line := <-ready:
		if line != "ready\n" {
			t.Fatalf("it said %q", line)
		}
	case <-time.After(limit):
		t.Fatal("it was not ready")
	}
	return cmd
}

const waiting = `setInterval(() => {}, 100000); console.log("ready")`

func TestReport(t *testing.T) {
	dir := t.TempDir()
	for _, options := range [][]string{
		{"--report-on-signal"},
		{"--report-on-signal", "--report-signal=SIGUSR1", "--report-directory", dir, "--report-filename=r.json"},
	} {
		cmd := start(t, waiting, options...)
		res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Budget: limit})
		if err != nil || res.Stacks == nil || len(res.Missing) != 0 {
			t.Fatalf("%v, %+v", err, res)
		}
		rep := res.Report
		if !strings.HasPrefix(rep.Version, "v") || !slices.ContainsFunc(rep.Heap, func(s string) bool { return strings.HasPrefix(s, "usedMemory ") }) || !slices.Contains(rep.Notes, "libuv: 1 active timer") {
			t.Errorf("%+v", rep)
		}
		if strings.Contains(fmt.Sprintf("%+v", res), "hidden-value") || res.Stacks.Runtime != Runtime || res.Stacks.Unwound < 5 {
			t.Errorf("%+v", res.Stacks)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "r.json")); err != nil {
		t.Error(err)
	}
}

// TestBlockedLoop: the loop that is blocked answers no signal, and the snapshot
// says so.
func TestBlockedLoop(t *testing.T) {
	cmd := start(t, `process.stdout.write("ready\n", () => { for (;;) ; })`, "--report-on-signal")
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Budget: 2 * time.Second})
	if err != nil || res.Stacks == nil || len(res.Missing) == 0 || !strings.Contains(res.Missing[len(res.Missing)-1], "busy or blocked") {
		t.Errorf("%v, %+v", err, res)
	}
	if res.Stacks != nil && !slices.ContainsFunc(res.Stacks.Groups, func(g snapshot.Group) bool { return g.Status == "running" }) {
		t.Errorf("%+v", res.Stacks.Groups)
	}
}

// TestNoReport: nothing is sent to a program that does not ask for it, nor one
// that has no handler.
func TestNoReport(t *testing.T) {
	cmd := start(t, waiting)
	for signal, want := range map[string]string{"": "NODE_OPTIONS=--report-on-signal", "SIGUSR2": "no handler", "SIGNO": "is no signal"} {
		res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Budget: limit, Signal: signal})
		if err != nil || res.Stacks == nil || !strings.Contains(strings.Join(res.Missing, "\n"), want) {
			t.Errorf("%q: %v, %+v", signal, err, res.Missing)
		}
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		options string
		want    configuration
	}{
		{"", configuration{}},
		{"--report-on-signal", configuration{signal: "SIGUSR2"}},
		{`--report_on_signal --report-dir="/a b" --report-filename r.json --report-signal=SIGHUP`, configuration{"SIGHUP", "/a b", "r.json"}},
		{"--report-signal=SIGHUP --report-directory", configuration{}},
	} {
		if got := parseOptions(splitOptions(tt.options)); got != tt.want {
			t.Errorf("%s: %+v", tt.options, got)
		}
	}
}

const text = `{"header":{"nodejsVersion":"v20.1.0"},"javascriptStack":{"message":"Error","stack":["at work (/srv/a (b).js:12:3)","at /srv/x.js:4:1","at new Foo (node:internal:7:1)"]},
"javascriptHeap":{"usedMemory":7,"memoryLimit":"x","heapSpaces":{"old_space":{"used":5,"capacity":9}}},"nativeStack":[{"pc":"0x10","symbol":"f(int) [node]"}],
"libuv":[{"type":"tcp","is_active":true,"is_referenced":true},{"type":"async","is_active":true,"is_referenced":false}],"workers":[{}]}`

func TestParse(t *testing.T) {
	r, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s := r.merge(nil, 7)
	if len(s.Groups) != 2 || s.Groups[0].Frames[0].Place != (snapshot.Place{Function: "work", File: "/srv/a (b).js", Line: 12}) || s.Groups[0].Frames[1].Line != 4 || s.Groups[1].Frames[0].Function != "f(int)" {
		t.Errorf("%+v", s)
	}
	var rep snapshot.RuntimeReport
	r.describe(&rep)
	if !slices.Equal(rep.Heap, []string{"usedMemory 7 bytes", "old_space: 5 of 9 bytes used"}) || !slices.Equal(rep.Notes, []string{"libuv: 1 active tcp", "1 worker threads"}) {
		t.Errorf("%+v", rep)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte(`{"javascriptStack":{"stack":["at ("," at a:1:","at )("]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if err != nil {
			return
		}
		var rep snapshot.RuntimeReport
		r.describe(&rep)
		for _, g := range r.merge(nil, 1).Groups {
			if len(g.Frames) > maxFrames {
				t.Errorf("%d frames", len(g.Frames))
			}
		}
	})
}

func FuzzOptions(f *testing.F) {
	f.Add(`--report-on-signal --report-dir="/a \" b`)
	f.Fuzz(func(_ *testing.T, s string) { _ = parseOptions(splitOptions(s)) })
}
