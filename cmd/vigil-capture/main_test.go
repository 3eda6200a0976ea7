package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// roleEnv makes the test binary be vigil-capture.
const roleEnv = "VIGIL_CAPTURE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		main()
	}
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

var (
	buildLock sync.Mutex
	buildDir  string
)

// target builds the target program with flags, once per name.
func target(t *testing.T, name string, flags ...string) string {
	t.Helper()
	buildLock.Lock()
	defer buildLock.Unlock()
	if buildDir == "" {
		dir, err := os.MkdirTemp("", "vigil-capture-test-")
		if err != nil {
			t.Fatal(err)
		}
		buildDir = dir
	}
	path := filepath.Join(buildDir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(args, "../../snapshot/capture/testdata/target")...).CombinedOutput()
	if err != nil {
		t.Fatalf("cannot build the target: %v: %s", err, out)
	}
	return path
}

// start runs a target until the test ends; it has said "ready" when start returns.
func start(t *testing.T, path string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), env...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
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
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the target said %q, %v", line, err)
	}
	return cmd
}

// helper runs vigil-capture and returns its exit code and output.
func helper(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleEnv+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func mustHelp(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := helper(t, args...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s%s", args, code, out, errs)
	}
	return out
}

func read[T any](t *testing.T, dir, name string) (v T) {
	t.Helper()
	if err := readJSON(filepath.Join(dir, name), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// stages returns the stages of progress lines.
func stages(t *testing.T, out string) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(out) {
		var p snapshot.Progress
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("progress %q: %v", line, err)
		}
		list = append(list, p.Stage)
	}
	return list
}

// both freezes and analyses.
func both(t *testing.T, pid int, more ...string) (snapshot.Capture, snapshot.Stacks) {
	t.Helper()
	dir := t.TempDir()
	out := mustHelp(t, "freeze", "--pid", fmt.Sprint(pid), "--dir", dir)
	if got := stages(t, out); !slices.Equal(got, []string{"started", "released", "done"}) {
		t.Fatalf("stages %v", got)
	}
	mustHelp(t, append([]string{"analyze", "--dir", dir, "--pid", fmt.Sprint(pid)}, more...)...)
	if _, err := os.Stat(filepath.Join(dir, snapshot.FileCore)); !os.IsNotExist(err) {
		t.Errorf("the core is still there: %v", err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	return read[snapshot.Capture](t, dir, snapshot.FileCapture), read[snapshot.Stacks](t, dir, snapshot.FileStacks)
}

// group finds the group whose stack has a function.
func group(s snapshot.Stacks, function string) (snapshot.Group, snapshot.Frame, bool) {
	for _, g := range s.Groups {
		for _, f := range g.Frames {
			if f.Function == function {
				return g, f, true
			}
		}
	}
	return snapshot.Group{}, snapshot.Frame{}, false
}

func value(list []snapshot.Variable, name string) snapshot.Variable {
	for _, v := range list {
		if v.Name == name {
			return v
		}
	}
	return snapshot.Variable{Error: "not listed"}
}

func TestGoroutines(t *testing.T) {
	for _, build := range []struct {
		name      string
		flags     []string
		optimised bool
	}{{"optimised", nil, true}, {"debug", []string{"-gcflags=all=-N -l"}, false}, {"pie", []string{"-buildmode=pie"}, true}} {
		t.Run(build.name, func(t *testing.T) {
			cmd := start(t, target(t, build.name, build.flags...), "TARGET_IDLE=300", "TARGET_DEADLOCK=1")
			report, s := both(t, cmd.Process.Pid)
			if len(report.Missing) != 0 {
				t.Errorf("missing: %v", report.Missing)
			}
			if report.Program.Runtime != "go" || s.Optimised != build.optimised || report.Program.Optimised != build.optimised {
				t.Errorf("program %+v, optimised %v", report.Program, s.Optimised)
			}
			if s.Total < 303 || s.Total > 320 || s.Unwound != s.Total {
				t.Errorf("%d goroutines, %d unwound", s.Total, s.Unwound)
			}
			checkParked(t, s)
			checkDeadlock(t, s)
			if len(s.Threads) == 0 || len(s.Threads[0].Frames) == 0 {
				t.Errorf("threads: %+v", s.Threads)
			}
		})
	}
}

func checkParked(t *testing.T, s snapshot.Stacks) {
	t.Helper()
	g, f, ok := group(s, "main.park")
	if !ok || g.Count != 300 || g.WaitReason != "chan receive" || g.Status != "waiting" || len(g.IDs) != 300 {
		t.Fatalf("parked group: %d %q %q", g.Count, g.Status, g.WaitReason)
	}
	if v := value(f.Arguments, "label"); v.Value != `"parked label"` {
		t.Errorf("label: %+v", v)
	}
	if v := value(f.Arguments, "number"); v.Value != "4711" {
		t.Errorf("number: %+v", v)
	}
	if v := value(f.Arguments, "password"); v.Value != snapshot.Mask || !v.Masked {
		t.Errorf("password: %+v", v)
	}
	if data, _ := json.Marshal(s); bytes.Contains(data, []byte("hunter2")) {
		t.Error("a secret is in the stacks")
	}
}

func checkDeadlock(t *testing.T, s snapshot.Stacks) {
	t.Helper()
	if len(s.Deadlocks) != 1 || len(s.Deadlocks[0].Members) != 2 || s.Deadlocks[0].Certain {
		t.Fatalf("deadlocks %+v of %+v", s.Deadlocks, s.Waits)
	}
	if g := s.Groups[0]; g.WaitReason != "sync.Mutex.Lock" {
		t.Errorf("the first group waits for %q", g.WaitReason)
	}
	text := analyze.Sentence(snapshot.CauseHang, "no beat for 2.1 s (limit 2 s)", &s)
	if !strings.Contains(text, "2 goroutines likely deadlocked on sync.Mutex: ") || !strings.Contains(text, "(main.transfer main.go:") {
		t.Errorf("sentence %q", text)
	}
}

func TestStrippedBuild(t *testing.T) {
	cmd := start(t, target(t, "stripped", "-ldflags=-s -w"), "TARGET_IDLE=10")
	report, s := both(t, cmd.Process.Pid)
	if !report.Program.Stripped || !strings.Contains(strings.Join(report.Missing, ";"), "no debug information") {
		t.Errorf("program %+v, missing %q", report.Program, report.Missing)
	}
	if len(s.Threads) == 0 {
		t.Error("no threads")
	}
	named := false
	for _, th := range s.Threads {
		for _, f := range th.Frames {
			named = named || strings.HasPrefix(f.Function, "runtime.")
		}
	}
	if !named {
		t.Errorf("no frame has a name: %+v", s.Threads)
	}
}

func TestDeletedExecutable(t *testing.T) {
	data, err := os.ReadFile(target(t, "optimised"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := start(t, path, "TARGET_IDLE=10")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mustHelp(t, "freeze", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir)
	if r := read[snapshot.Capture](t, dir, snapshot.FileCapture); !r.ExeCopied || r.Exe != snapshot.FileExe {
		t.Fatalf("executable %q, copied %v", r.Exe, r.ExeCopied)
	}
	_ = cmd.Process.Kill() // the analysis needs nothing of it any more
	mustHelp(t, "analyze", "--dir", dir)
	if g, _, ok := group(read[snapshot.Stacks](t, dir, snapshot.FileStacks), "main.park"); !ok || g.Count != 10 {
		t.Fatalf("group %+v", g)
	}
	if _, err := os.Stat(filepath.Join(dir, snapshot.FileExe)); !os.IsNotExist(err) {
		t.Errorf("the copy of the executable is still there: %v", err)
	}
}

func TestNotGo(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"API_TOKEN=hunter2", "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	dir := t.TempDir()
	mustHelp(t, "freeze", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir)
	r := read[snapshot.Capture](t, dir, snapshot.FileCapture)
	if r.Program.Runtime != "native" || r.Core != "" || r.Freeze.Method != snapshot.RungRuntime || len(r.Missing) > 0 {
		t.Errorf("capture %+v", r)
	}
	if s := read[snapshot.Stacks](t, dir, snapshot.FileStacks); s.Total != 1 || len(s.Groups) != 1 || len(s.Groups[0].Frames) == 0 {
		t.Errorf("stacks %+v", s)
	}
	p := read[snapshot.Process](t, dir, snapshot.FileProcess)
	if len(p.Threads) != 1 || p.Threads[0].TID != cmd.Process.Pid || p.Threads[0].Comm != "sleep" || !slices.Contains(p.Environment, "API_TOKEN=***") {
		t.Errorf("process %+v", p)
	}
	if code, _, _ := helper(t, "analyze", "--dir", dir); code != 1 {
		t.Errorf("analysis without a core: exit code %d", code)
	}
	mustHelp(t, "freeze", "--core", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir)
	if r := read[snapshot.Capture](t, dir, snapshot.FileCapture); r.Core != snapshot.FileCore || r.Freeze.Threads != 1 {
		t.Errorf("with --core: %+v", r)
	}
}

func TestTinyBudget(t *testing.T) {
	cmd := start(t, target(t, "optimised"))
	dir := t.TempDir()
	out := mustHelp(t, "freeze", "--budget", "1ns", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir)
	if got := stages(t, out); !slices.Equal(got, []string{"started", "released", "done"}) || !strings.Contains(out, "deadline exceeded") {
		t.Errorf("progress %s", out)
	}
	r := read[snapshot.Capture](t, dir, snapshot.FileCapture)
	if len(r.Missing) == 0 || r.Core != "" {
		t.Errorf("capture %+v", r)
	}
	p := read[snapshot.Process](t, dir, snapshot.FileProcess)
	if p.Comm == "" || p.TracerPID != 0 {
		t.Errorf("process %+v", p)
	}
}

func TestExitCodes(t *testing.T) {
	cmd := start(t, target(t, "optimised"))
	pid := fmt.Sprint(cmd.Process.Pid)
	dir := t.TempDir()
	for _, c := range []struct {
		want int
		args []string
	}{
		{2, nil}, {2, []string{"melt"}}, {2, []string{"freeze"}}, {2, []string{"freeze", "--nonsense"}},
		{0, []string{"version"}}, {0, []string{"help"}},
		{3, []string{"freeze", "--pid", "99999999", "--dir", dir}},
		{3, []string{"freeze", "--pid", pid, "--start-ticks", "1", "--dir", dir}},
		{1, []string{"analyze", "--dir", dir}},
		{0, []string{"freeze", "--pid", pid, "--dir", dir}},
		{1, []string{"analyze", "--dir", dir, "--pid", "1"}},
	} {
		if code, out, errs := helper(t, c.args...); code != c.want {
			t.Errorf("%v: exit code %d, want %d: %s%s", c.args, code, c.want, out, errs)
		}
	}
}

// TestBrokenCore: a core that cannot be read is removed too, and that is said.
func TestBrokenCore(t *testing.T) {
	dir := t.TempDir()
	core := filepath.Join(dir, snapshot.FileCore)
	report := snapshot.Capture{Schema: snapshot.SchemaVersion, PID: 1, Core: snapshot.FileCore, Exe: os.Args[0]}
	for _, keep := range []bool{true, false} {
		if err := errors.Join(writeJSON(filepath.Join(dir, snapshot.FileCapture), report), os.WriteFile(core, []byte("no core"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := helper(t, "analyze", "--dir", dir, fmt.Sprintf("--keep-core=%v", keep)); code != 1 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		missing := strings.Join(read[snapshot.Capture](t, dir, snapshot.FileCapture).Missing, ";")
		if _, err := os.Stat(core); os.IsNotExist(err) == keep || strings.Contains(missing, "--keep-core keeps it") == keep || !strings.Contains(missing, "goroutines: ") {
			t.Errorf("keep %v: core %v, missing %q", keep, err, missing)
		}
	}
}

func TestCutCore(t *testing.T) {
	cmd := start(t, target(t, "optimised"), "TARGET_IDLE=50")
	dir := t.TempDir()
	mustHelp(t, "freeze", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir, "--max-core", "200000")
	code, _, errs := helper(t, "analyze", "--dir", dir)
	r := read[snapshot.Capture](t, dir, snapshot.FileCapture)
	if code > 1 || len(r.Missing) == 0 {
		t.Errorf("exit code %d, missing %v: %s", code, r.Missing, errs)
	}
}
