package golang

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
	"github.com/vigil-supervisor/vigil/snapshot/capture"
)

var built struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// zoo builds testdata/zoo with flags, once per name.
func zoo(t *testing.T, name string, flags ...string) string {
	t.Helper()
	return program(t, "zoo", name, flags...)
}

// program builds a program of testdata with flags, once per name.
func program(t *testing.T, source, name string, flags ...string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "vigil-golang-test-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	path := filepath.Join(built.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if out, err := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "./testdata/"+source)...).CombinedOutput(); err != nil {
		t.Fatalf("cannot build the target: %v: %s", err, out)
	}
	return path
}

// frozen starts the program and takes a core of it.
func frozen(t *testing.T, exe string, env ...string) (core string, taken time.Time) {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = in.Close()
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the target said %q, %v", line, err)
	}
	core = filepath.Join(t.TempDir(), "core")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	taken = time.Now()
	if _, err := capture.Take(ctx, capture.Target{PID: cmd.Process.Pid}, capture.Options{Core: core}); err != nil {
		t.Fatal(err)
	}
	return core, taken
}

func collect(t *testing.T, opt Options) (snapshot.Stacks, []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, missing, err := Collect(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s, missing
}

// TestSameAsDelve: grouping by frame pointers finds the groups that Delve's
// unwinding of every goroutine finds, with the same members.
func TestSameAsDelve(t *testing.T) {
	for name, flags := range map[string][]string{"plain": nil, "pie": {"-buildmode=pie"}, "debug": {"-gcflags=all=-N -l"}} {
		t.Run(name, func(t *testing.T) {
			exe := zoo(t, name, flags...)
			core, _ := frozen(t, exe, "ZOO_TREE=300")
			fast, missing := collect(t, Options{Core: core, Exe: exe, NoVariables: true})
			slow, more := collect(t, Options{Core: core, Exe: exe, NoVariables: true, delveOnly: true})
			if len(missing)+len(more) > 0 || fast.Total != slow.Total || fast.Unwound != slow.Unwound || fast.Total < 300 {
				t.Errorf("%d and %d goroutines, missing %q, %q", fast.Total, slow.Total, missing, more)
			}
			a, b := outline(fast), outline(slow)
			for i := range max(len(a), len(b)) {
				if i >= len(a) || i >= len(b) || a[i] != b[i] {
					t.Fatalf("by frame pointers:\n%s\nby Delve:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
				}
			}
		})
	}
}

// outline is one line of each group. Members of a cycle are apart in one way of
// reading only, and so are left out.
func outline(s snapshot.Stacks) []string {
	var list []string
	for _, g := range s.Groups {
		if g.WaitReason == "sync.Mutex.Lock" {
			continue
		}
		slices.Sort(g.IDs)
		var names []string
		for _, f := range g.Frames {
			names = append(names, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		list = append(list, fmt.Sprintf("%v %s %q %s", g.IDs, g.Status, g.WaitReason, strings.Join(names, " ")))
	}
	slices.Sort(list)
	return list
}

func groupOf(s snapshot.Stacks, function string) *snapshot.Group {
	for i, g := range s.Groups {
		if slices.ContainsFunc(g.Frames, func(f snapshot.Frame) bool { return f.Function == function }) {
			return &s.Groups[i]
		}
	}
	return nil
}

func TestWholePicture(t *testing.T) {
	exe := zoo(t, "plain")
	core, taken := frozen(t, exe, "ZOO_TREE=3")
	s, missing := collect(t, Options{Core: core, Exe: exe, Taken: taken})
	if len(missing) > 0 {
		t.Errorf("missing %q", missing)
	}
	if data, _ := json.Marshal(s); strings.Contains(string(data), "hunter2") {
		t.Error("a secret is in the stacks")
	}
	g := groupOf(s, "main.labelled")
	if g == nil || g.Count != 3 || len(g.Members) != 3 || g.Start == nil || g.CreatedBy == nil || g.CreatedBy.Function != "main.main" {
		t.Fatalf("labelled: %+v", g)
	}
	for i, m := range g.Members {
		// The goroutines are listed in no order that matters.
		if m.ID != g.IDs[i] || len(m.Labels) != 2 || m.Labels[0] != "api_key="+snapshot.Mask || !strings.HasPrefix(m.Labels[1], "tenant=") {
			t.Errorf("member %+v", m)
		}
		if m.Waiting.Duration() <= 0 || m.Waiting.Duration() > time.Minute {
			t.Errorf("waits for %v", m.Waiting.Duration())
		}
	}
	if g.WaitMin <= 0 || g.WaitMax < g.WaitMin {
		t.Errorf("waits from %v to %v", g.WaitMin, g.WaitMax)
	}
	checkCycle(t, s)
	if g := groupOf(s, "main.spin"); g == nil || g.Status != "running" || g.Count != 1 || len(g.Frames[0].Arguments)+len(g.Frames[0].Locals) == 0 {
		t.Errorf("running: %+v", g)
	}
	for _, g := range s.Groups {
		if g.Start == nil {
			t.Errorf("a group has no start: %+v", g)
		}
	}
	if s.Crash != nil || s.Taken.IsZero() || s.Source != "delve" {
		t.Errorf("crash %+v, taken %v, source %q", s.Crash, s.Taken, s.Source)
	}
}

// checkCycle: each member of a deadlock shows its own variables.
func checkCycle(t *testing.T, s snapshot.Stacks) {
	t.Helper()
	if len(s.Deadlocks) != 1 || len(s.Deadlocks[0].Members) != 2 {
		t.Fatalf("deadlocks %+v", s.Deadlocks)
	}
	names := map[string]bool{}
	for _, g := range s.Groups {
		if g.WaitReason != "sync.Mutex.Lock" {
			continue
		}
		if g.Count != 1 || !slices.Contains(s.Deadlocks[0].Members, g.Sample) || len(g.IDs) != 1 {
			t.Errorf("group %+v", g)
		}
		f, _ := analyze.OwnFrame(g.Frames)
		for _, v := range f.Arguments {
			if v.Name == "to" {
				names[v.Value] = true
			}
		}
	}
	if len(names) != 2 {
		t.Errorf("the members of the deadlock show %v", names)
	}
}

// TestSampling: stacks beyond the bound are listed by state, and that is said.
func TestSampling(t *testing.T) {
	exe := zoo(t, "plain")
	core, _ := frozen(t, exe, "ZOO_TREE=600")
	s, missing := collect(t, Options{Core: core, Exe: exe, MaxGroups: 50, NoVariables: true})
	if len(missing) != 1 || !strings.Contains(missing[0], "goroutines were unwound; the others are listed by state only: there are more than 50 different stacks") {
		t.Errorf("missing %q", missing)
	}
	ids := map[int64]bool{}
	for _, g := range s.Groups {
		for _, id := range g.IDs {
			ids[id] = true
		}
	}
	if len(ids) != s.Total || s.Total < 600 || s.Unwound >= s.Total {
		t.Errorf("%d of %d goroutines are listed, %d unwound", len(ids), s.Total, s.Unwound)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, missing, err := Collect(ctx, Options{Core: core, Exe: exe}); err != nil || !strings.Contains(strings.Join(missing, ";"), "the time was up") {
		t.Errorf("without time: %q, %v", missing, err)
	}
	if s, missing := collect(t, Options{Core: core, Exe: exe, MaxGoroutines: 10, NoVariables: true}); s.Unwound != 10 || len(missing) != 1 {
		t.Errorf("with 10: %d, %q", s.Unwound, missing)
	}
}

func TestStripped(t *testing.T) {
	exe := zoo(t, "stripped", "-ldflags=-s -w")
	spins := func(th snapshot.Thread) bool {
		return slices.ContainsFunc(th.Frames, func(f snapshot.Frame) bool { return f.Function == "main.spin" })
	}
	for tries := 1; ; tries++ {
		core, _ := frozen(t, exe)
		s, missing := collect(t, Options{Core: core, Exe: exe})
		if len(missing) != 1 || !strings.Contains(missing[0], "-ldflags=-s or -w") || s.Total != 0 || len(s.Threads) == 0 {
			t.Errorf("missing %q, %d goroutines, %d threads", missing, s.Total, len(s.Threads))
		}
		if slices.ContainsFunc(s.Threads, spins) {
			return
		}
		// The runtime may just have taken the processor from the one that spins.
		if tries == 5 {
			t.Fatalf("no thread is in main.spin: %+v", s.Threads)
		}
	}
}

// TestCrash: the kernel's core of each way to end names who ended it, and why.
func TestCrash(t *testing.T) {
	pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
	if strings.TrimSpace(string(pattern)) != "core" {
		t.Skipf("cores do not go to the working directory: core_pattern is %q", pattern)
	}
	exe := zoo(t, "plain")
	for _, c := range []struct {
		how, kind, message, signal, function string
	}{
		{"panic", snapshot.CrashPanic, "no route, code 7", "", "main.end"},
		{"fault", snapshot.CrashPanic, "runtime error: invalid memory address or nil pointer dereference", "SIGSEGV", "main.read"},
		{"fatal", snapshot.CrashError, "concurrent map writes", "", "main.end.func1"},
	} {
		t.Run(c.how, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec "+exe)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "ZOO_TREE=3", "ZOO_END="+c.how)
			out, err := cmd.CombinedOutput()
			cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
			if err == nil || len(cores) != 1 {
				t.Fatalf("%v, cores %q: %.500s", err, cores, out)
			}
			s, missing := collect(t, Options{Core: cores[0], Exe: exe})
			if s.Crash == nil {
				t.Fatalf("no crash; missing %q", missing)
			}
			got := *s.Crash
			if got.Kind != c.kind || !strings.Contains(got.Message, c.message) || got.Signal != c.signal || got.Goroutine == 0 || got.Frame == nil || got.Frame.Function != c.function {
				t.Errorf("crash %+v at %+v", got, got.Frame)
			}
			crashed := 0
			for _, g := range s.Groups {
				if g.Crashed {
					crashed++
					if !slices.Contains(g.IDs, got.Goroutine) {
						t.Errorf("crashed: %v", g.IDs)
					}
				}
			}
			if crashed != 1 {
				t.Errorf("%d groups crashed", crashed)
			}
		})
	}
}
