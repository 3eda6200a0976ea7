package native

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// futexes is how many threads of locks.c wait in futex(2).
const futexes = 3

func TestDeadlockOfC(t *testing.T) {
	need(t, "eu-stack")
	exe := compile(t, "gcc", "locks.c", "-g", "-O0")
	cmd := start(t, exe)
	settle(t, cmd.Process.Pid, futexes)
	s := collect(t, cmd.Process.Pid)
	if s.Source != SourceEUStack || s.Runtime != Runtime || s.Total != 5 || s.Unwound != 5 {
		t.Errorf("%+v", s)
	}
	checkDeadlock(t, s)
	g := group(t, s, "payer")
	if g.WaitReason != reasonMutex || g.Status != "waiting" || g.Members[0].Name != "payer" || g.Start == nil || g.Start.Function != "payer" {
		t.Errorf("%+v", g)
	}
	if f := g.Frames[len(g.Frames)-3]; f.Function != "payer" || !strings.HasSuffix(f.File, "locks.c") || f.Line == 0 {
		t.Errorf("%+v", f)
	}
	for function, reason := range map[string]string{"consumer": reasonCondition, "sleeper": "sleep", "main": "read"} {
		if g := group(t, s, function); g.WaitReason != reason {
			t.Errorf("%s waits for %q:\n%s", function, g.WaitReason, show(s))
		}
	}
}

// checkDeadlock: payer and payee wait for each other, for certain.
func checkDeadlock(t *testing.T, s *snapshot.Stacks) {
	t.Helper()
	if len(s.Deadlocks) != 1 || !s.Deadlocks[0].Certain || len(s.Deadlocks[0].Members) != 2 || len(s.Waits) != 2 {
		t.Errorf("waits %+v, deadlocks %+v\n%s", s.Waits, s.Deadlocks, show(s))
		return
	}
	if place := s.Waits[0].Place; place == nil {
		t.Error("no place")
	}
}

func TestGDB(t *testing.T) {
	need(t, "gdb")
	toolFirst(t, map[string]string{"eu-stack": "exit 2"})
	exe := compile(t, "gcc", "locks.c", "-g", "-O0")
	cmd := start(t, exe)
	settle(t, cmd.Process.Pid, futexes)
	s := collect(t, cmd.Process.Pid)
	if s.Source != SourceGDB || s.Unwound != 5 {
		t.Errorf("%+v", s)
	}
	checkDeadlock(t, s)
	if g := group(t, s, "transfer"); g.WaitReason != reasonMutex {
		t.Errorf("%+v", g)
	}
}

// TestOwnWalk: without a tool a program with frame pointers is read all the same.
func TestOwnWalk(t *testing.T) {
	toolFirst(t, map[string]string{"eu-stack": "exit 2", "gdb": "exit 1"})
	exe := compile(t, "gcc", "locks.c", "-O0", "-fno-omit-frame-pointer")
	cmd := start(t, exe)
	settle(t, cmd.Process.Pid, futexes)
	s := collect(t, cmd.Process.Pid)
	if s.Source != SourceOwn || s.Unwound != 5 || !strings.Contains(strings.Join(s.Notes, "\n"), "frame pointers only") {
		t.Errorf("%+v", s)
	}
	for _, function := range []string{"payer", "payee", "transfer", "consumer", "sleeper", "main"} {
		group(t, s, function)
	}
}

// TestStripped: frames without a symbol are named by file and offset, and the
// owner of a lock is known all the same.
func TestStripped(t *testing.T) {
	need(t, "eu-stack")
	exe := compile(t, "gcc", "locks.c", "-O2", "-s")
	cmd := start(t, exe)
	settle(t, cmd.Process.Pid, futexes)
	s := collect(t, cmd.Process.Pid)
	checkDeadlock(t, s)
	group(t, s, "locks+0x")
}

func TestCPlusPlus(t *testing.T) {
	need(t, "eu-stack")
	exe := compile(t, "g++", "queue.cc", "-g", "-O2")
	cmd := start(t, exe)
	settle(t, cmd.Process.Pid, 2)
	s := collect(t, cmd.Process.Pid)
	if g := group(t, s, "app::Queue<int>::take()"); g.WaitReason != reasonCondition {
		t.Error(show(s))
	}
	if g := group(t, s, "main"); g.WaitReason != "join" {
		t.Error(show(s))
	}
}

func TestTwoHundredThreads(t *testing.T) {
	need(t, "eu-stack")
	exe := compile(t, "gcc", "locks.c", "-O2", "-g")
	cmd := start(t, exe, "200")
	settle(t, cmd.Process.Pid, futexes)
	s := collect(t, cmd.Process.Pid)
	g := group(t, s, "worker")
	if s.Total != 205 || s.Unwound != 205 || g.Count != 200 || len(g.Members) != 200 || g.Idle == "" || len(s.Groups) > 10 {
		t.Errorf("%d of %d, %d groups: %+v", s.Unwound, s.Total, len(s.Groups), g)
	}
	if last := s.Groups[len(s.Groups)-1]; last.Idle == "" {
		t.Error("what is idle is not last")
	}
}

// TestHangingTools: tools that hang are left behind in time, with what they
// started, and the target runs.
func TestHangingTools(t *testing.T) {
	toolFirst(t, map[string]string{"eu-stack": "sleep 1000 & wait", "gdb": "trap '' TERM; sleep 1000"})
	cmd := start(t, compile(t, "gcc", "locks.c", "-O0"))
	begin := time.Now()
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Budget: time.Second})
	if err != nil || res.Stacks == nil || res.Stacks.Source != SourceOwn || len(res.Ran) != 3 {
		t.Errorf("%v, %+v", err, res)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, r := range res.Ran[:2] {
		if r.Result != "failed" || r.Reason != "its time was up" {
			t.Errorf("%+v", r)
		}
	}
	free(t, cmd.Process.Pid)
}

// TestKilledTools: eu-stack and gdb are killed at any place of their work, which
// leaves threads stopped (PTRACE_ATTACH); none may stay so.
func TestKilledTools(t *testing.T) {
	need(t, "eu-stack", "gdb")
	cmd := start(t, compile(t, "gcc", "locks.c", "-O0"), "50")
	for i := range 5 {
		for _, r := range []func(context.Context, *target) (*reading, error){
			func(ctx context.Context, at *target) (*reading, error) { return at.eustack(ctx) },
			func(ctx context.Context, at *target) (*reading, error) { return at.gdb(ctx) },
		} {
			kill(t, cmd.Process.Pid, r, time.Duration(10+47*i)*time.Millisecond)
		}
	}
}

func kill(t *testing.T, pid int, read func(context.Context, *target) (*reading, error), after time.Duration) {
	t.Helper()
	fd, err := pidfd.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	at, err := look(pid, fd)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	_, _ = read(ctx, at)
	at.release()
	free(t, pid)
}

// TestStoppedBefore: a process that a signal had stopped stays so, by every rung.
func TestStoppedBefore(t *testing.T) {
	need(t, "eu-stack", "gdb")
	cmd := start(t, compile(t, "gcc", "locks.c", "-O0"))
	pid := cmd.Process.Pid
	stopped := func() bool { s, _, traced := (&target{pid: pid}).stops(); return s && !traced }
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	within(t, "stopped process", stopped)
	for _, rungs := range []map[string]string{{}, {"eu-stack": "exit 2"}, {"eu-stack": "exit 2", "gdb": "exit 1"}} {
		toolFirst(t, rungs)
		res, err := Collect(t.Context(), Options{PID: pid, Budget: limit})
		if err != nil || res.Stacks == nil || !strings.Contains(strings.Join(res.Stacks.Notes, "\n"), "state T") {
			t.Fatalf("%v, %+v", err, res)
		}
		within(t, "stopped process after "+res.Stacks.Source, stopped)
		if g := res.Stacks.Groups[0]; g.Status != "stopped" {
			t.Errorf("%+v", g)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGCONT)
	within(t, "process that goes on", func() bool { return !stopped() })
}

func TestTracedBefore(t *testing.T) {
	need(t, "strace")
	cmd := start(t, compile(t, "gcc", "locks.c", "-O0"))
	tracer := exec.Command("strace", "-f", "-o", os.DevNull, "-p", itoa(cmd.Process.Pid))
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = tracer.Process.Kill()
		_ = tracer.Wait()
	}()
	within(t, "tracer", func() bool { _, _, traced := (&target{pid: cmd.Process.Pid}).stops(); return traced })
	res, err := Collect(t.Context(), Options{PID: cmd.Process.Pid, Budget: limit})
	if err != nil || res.Stacks != nil || len(res.Missing) != 1 || !strings.Contains(res.Missing[0], "is traced by process "+itoa(tracer.Process.Pid)) {
		t.Errorf("%v, %+v", err, res)
	}
}

func TestCore(t *testing.T) {
	need(t, "eu-stack", "gdb")
	exe := compile(t, "gcc", "locks.c", "-g", "-O0")
	cmd := start(t, exe)
	settle(t, cmd.Process.Pid, futexes)
	base := t.TempDir() + "/core"
	if out, err := exec.Command("gcore", "-o", base, itoa(cmd.Process.Pid)).CombinedOutput(); err != nil {
		t.Skipf("gcore: %v\n%s", err, out)
	}
	for _, rungs := range []map[string]string{{}, {"eu-stack": "exit 2"}} {
		toolFirst(t, rungs)
		res, err := Collect(t.Context(), Options{Core: base + "." + itoa(cmd.Process.Pid), Exe: exe, Budget: limit})
		if err != nil || res.Stacks == nil || res.Stacks.Unwound != 5 {
			t.Fatalf("%v, %+v", err, res)
		}
		if g := group(t, res.Stacks, "transfer"); g.WaitReason != reasonMutex {
			t.Errorf("%s", show(res.Stacks))
		}
	}
}

// TestCrash: the thread that crashed comes first, with its signal.
func TestCrash(t *testing.T) {
	need(t, "eu-stack", "gdb")
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || strings.ContainsAny(string(pattern), "|/%@") {
		t.Skipf("cores go to %q on this machine", pattern)
	}
	exe := compile(t, "gcc", "crash.c", "-g", "-O0")
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec "+exe)
	cmd.Dir = dir
	_ = cmd.Run() // by SIGSEGV
	cores, _ := filepath.Glob(filepath.Join(dir, strings.TrimSpace(string(pattern))+"*"))
	if len(cores) != 1 {
		t.Skipf("no core: %v", cores)
	}
	for _, rungs := range []map[string]string{{}, {"eu-stack": "exit 2"}} {
		toolFirst(t, rungs)
		res, err := Collect(t.Context(), Options{Core: cores[0], Exe: exe, Budget: limit})
		if err != nil || res.Stacks == nil {
			t.Fatalf("%v, %+v", err, res)
		}
		g := res.Stacks.Groups[0]
		if !g.Crashed || g.Frames[0].Function != "store" || g.Frames[0].Line != 2 || !strings.Contains(strings.Join(res.Stacks.Notes, "\n"), "segmentation fault") {
			t.Errorf("%+v\n%s", g, show(res.Stacks))
		}
	}
}

func TestNoProcess(t *testing.T) {
	if _, err := Collect(t.Context(), Options{PID: 1 << 30}); err == nil {
		t.Error("no error")
	}
	if _, err := Collect(t.Context(), Options{PID: os.Getpid(), StartTicks: 1}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	if _, err := Collect(t.Context(), Options{Core: "live_test.go"}); err == nil {
		t.Error("no error")
	}
}
