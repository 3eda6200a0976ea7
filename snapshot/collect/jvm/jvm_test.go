package jvm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/snapshot"
)

const java = "/usr/bin/java"

// classes is where the programs of the tests are compiled to, once, where each
// user can read them. TestMain removes it.
var classes = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "vigil-jvm-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	args := []string{"-d", dir}
	for name, text := range map[string]string{"Deadlock.java": deadlockJava, "Spin.java": spinJava} {
		args = append(args, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return dir, err
		}
	}
	if out, err := exec.Command("javac", args...).CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

var compiled bool

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if compiled {
			dir, _ := classes()
			_ = os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// machine is a real JVM with a deadlock of monitors, one of locks, and threads
// that wait behind the first.
type machine struct {
	cmd    *exec.Cmd
	pid    int
	output string
}

func start(t *testing.T, behind int, options ...string) *machine {
	t.Helper()
	return launch(t, nil, nil, append(options, "Deadlock", fmt.Sprint(behind))...)
}

// launch starts a JVM, with a command before it, and waits until it says that it
// is ready.
func launch(t *testing.T, how *syscall.SysProcAttr, before []string, args ...string) *machine {
	t.Helper()
	for _, tool := range []string{java, "/usr/bin/javac"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skipf("this test needs a real JVM, and %s is missing: as root, run scripts/install-test-deps.sh", tool)
		}
	}
	compiled = true
	dir, err := classes()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{output: filepath.Join(t.TempDir(), "out")}
	out, err := os.Create(m.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	line := append(before, java, "-Xmx64m", "-Xss256k", "-cp", dir)
	m.cmd = exec.Command(line[0], append(line[1:], args...)...)
	m.cmd.Dir, m.cmd.SysProcAttr = dir, how
	m.cmd.Stdout, m.cmd.Stderr = out, out
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.pid = m.cmd.Process.Pid
	t.Cleanup(func() { _ = m.cmd.Process.Kill(); _ = m.cmd.Wait() })
	m.await(t, "ready")
	return m
}

// await waits for a text in the output.
func (m *machine) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, _ := os.ReadFile(m.output); bytes.Contains(b, []byte(text)) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("no %q in the output", text)
		}
	}
}

func (m *machine) collect(opt Options) Result {
	opt.PID = m.pid
	if opt.Budget == 0 {
		opt.Budget = 30 * time.Second
	}
	return Collect(context.Background(), opt)
}

// names of the members of a deadlock.
func names(s *snapshot.Stacks, c snapshot.Cycle) string {
	by := map[int64]string{}
	for _, g := range s.Groups {
		for _, m := range g.Members {
			by[m.ID] = m.Name
		}
	}
	var all []string
	for _, id := range c.Members {
		all = append(all, by[id])
	}
	return strings.Join(all, ", ")
}

func checkDeadlocks(t *testing.T, res Result, behind int) {
	t.Helper()
	s := res.Stacks
	if s == nil {
		t.Fatalf("no stacks: %q", res.Missing)
	}
	if len(s.Deadlocks) != 2 {
		t.Fatalf("%d deadlocks: %+v", len(s.Deadlocks), s.Deadlocks)
	}
	all := names(s, s.Deadlocks[0]) + "; " + names(s, s.Deadlocks[1])
	for _, want := range []string{`grabs a "then" b`, "grabs b then a", "takes left", "takes right"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in a deadlock: %s", want, all)
		}
	}
	group := 0
	for _, g := range s.Groups {
		if len(g.Frames) > 0 && g.Frames[0].Function == "Deadlock.behind" {
			group = g.Count
			if g.Status != "blocked" || g.WaitReason != "monitor" || g.Frames[0].File != "Deadlock.java" && !strings.Contains(s.Source, "jhsdb") || g.Frames[0].Line == 0 || g.System {
				t.Errorf("%+v", g)
			}
		}
	}
	if group != behind {
		t.Errorf("%d threads wait behind, want %d", group, behind)
	}
	for _, c := range s.Deadlocks {
		if !c.Certain {
			t.Errorf("%+v is not certain", c)
		}
	}
}

func TestByAttach(t *testing.T) {
	m := start(t, 200)
	before := time.Now()
	res := m.collect(Options{})
	t.Logf("took %v; %+v", time.Since(before).Round(time.Millisecond), res.Ran)
	checkDeadlocks(t, res, 200)
	if res.Stacks.Source != "jattach" || len(res.Ran) != 2 || res.Ran[0].Result != "ok" || len(res.Missing) > 0 {
		t.Errorf("%+v, missing %q", res.Ran, res.Missing)
	}
	if r := res.Report; r == nil || !strings.Contains(r.Version, "OpenJDK") || len(r.Heap) == 0 || len(r.Safepoint) == 0 {
		t.Errorf("%+v", r)
	}
	before = time.Now()
	if res := m.collect(Options{}); res.Stacks == nil || res.Stacks.Total < 206 {
		t.Errorf("a second time: %+v", res)
	}
	t.Logf("again: %v", time.Since(before).Round(time.Millisecond))
	if left, _ := filepath.Glob("/tmp/.attach_pid" + fmt.Sprint(m.pid)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if err := m.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the JVM is gone: %v", err)
	}
}
