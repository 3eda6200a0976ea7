package tree

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 20 * time.Second

// start runs a shell until n processes descend from it, and ends them all with
// the test.
func start(t *testing.T, script string, n int) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		all, err := proctree.Scan()
		if err != nil {
			t.Fatal(err)
		}
		below := all.Descendants(cmd.Process.Pid)
		ready := len(below) == n+1
		for _, p := range below[min(1, len(below)):] {
			tasks := native.Tasks(p.PID)
			ready = ready && (p.Zombie || len(tasks) == 1 && tasks[0].Name == "sleep" && tasks[0].Wait == "sleep")
		}
		if ready {
			return cmd.Process.Pid
		}
		if time.Now().After(end) {
			t.Fatalf("%d processes of %d", len(below)-1, n)
		}
	}
}

func stacks(ctx context.Context, pid int, _ snapshot.Program) (*snapshot.Stacks, []string) {
	res, err := native.Collect(ctx, native.Options{PID: pid, Budget: time.Second})
	if err != nil {
		return nil, []string{err.Error()}
	}
	return res.Stacks, res.Missing
}

func TestShellWithTwoChildren(t *testing.T) {
	pid := start(t, `sleep 1000 & sleep 3000 & wait`, 2)
	res, err := Collect(t.Context(), Options{PID: pid, Budget: limit, Stacks: stacks})
	if err != nil || res.Tree.Count != 2 || len(res.Tree.Processes) != 2 || len(res.Missing) != 0 {
		t.Fatalf("%v, %+v", err, res.Tree)
	}
	for _, p := range res.Tree.Processes {
		if p.PPID != pid || p.Comm != "sleep" || p.State != "S" || p.Threads != 1 || p.RSS == 0 || p.Program.Runtime != native.Runtime || len(p.Command) != 2 {
			t.Errorf("%+v", p)
		}
		if p.Stacks == nil || p.Stacks.Groups[0].WaitReason != "sleep" {
			t.Errorf("%+v", p.Stacks)
		}
	}
}

// TestCgroup: a member that left the main process's tree is found, and a process
// outside of both is not.
func TestCgroup(t *testing.T) {
	base, err := cgroup.Find()
	if err != nil {
		t.Skip(err)
	}
	g, err := base.Make("tree-test-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		_ = g.Kill()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		_ = g.WaitEmpty(ctx)
		_ = g.Remove()
	})
	pid := start(t, `sleep 1000 & wait`, 1)
	stranger := exec.Command("sleep", "1000")
	member := exec.Command("sleep", "1000")
	dir, err := g.OpenDir()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(dir) }()
	member.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: dir}
	for _, cmd := range []*exec.Cmd{stranger, member} {
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	}
	res, err := Collect(t.Context(), Options{PID: pid, Cgroup: g.Path(), Budget: limit})
	if err != nil || res.Tree.Count != 2 || !slices.ContainsFunc(res.Tree.Processes, func(p snapshot.TreeProcess) bool { return p.PID == member.Process.Pid }) {
		t.Errorf("%v, %+v", err, res.Tree)
	}
	res, _ = Collect(t.Context(), Options{PID: pid, Cgroup: g.Path(), Exclude: []int{member.Process.Pid}, Budget: limit})
	if res.Tree.Count != 1 {
		t.Errorf("%+v", res.Tree)
	}
}

func TestZombie(t *testing.T) {
	pid := start(t, `sleep 0 & exec sleep 1000`, 1)
	deadline := time.Now().Add(limit)
	for {
		res, err := Collect(t.Context(), Options{PID: pid, Budget: limit, Stacks: stacks})
		if err != nil || len(res.Tree.Processes) != 1 {
			t.Fatalf("%v, %+v", err, res.Tree)
		}
		if p := res.Tree.Processes[0]; p.State == "Z" && p.Stacks == nil && len(p.Missing) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", res.Tree)
		}
	}
}

// TestSlowStacks: the budget holds, and says what it cost.
func TestSlowStacks(t *testing.T) {
	pid := start(t, `for i in 1 2 3 4 5 6; do sleep 1000 & done; wait`, 6)
	begin := time.Now()
	res, err := Collect(t.Context(), Options{PID: pid, Budget: 300 * time.Millisecond, Stacks: func(ctx context.Context, _ int, _ snapshot.Program) (*snapshot.Stacks, []string) {
		<-ctx.Done()
		return nil, []string{"slow"}
	}})
	if err != nil || len(res.Tree.Processes) != 6 || time.Since(begin) > 2*time.Second {
		t.Errorf("%v after %s, %+v", err, time.Since(begin), res.Tree)
	}
	if !slices.ContainsFunc(res.Missing, func(s string) bool { return strings.Contains(s, "the time was up") }) || res.Ran[0].Result != "partial" {
		t.Errorf("%+v", res)
	}
}

func TestTooManyAndGone(t *testing.T) {
	n := snapshot.MaxTree + 3
	pid := start(t, `for i in $(seq `+strconv.Itoa(n)+`); do sleep 1000 & done; wait`, n)
	res, err := Collect(t.Context(), Options{PID: pid, Budget: limit})
	if err != nil || res.Tree.Count != n || len(res.Tree.Processes) != snapshot.MaxTree || len(res.Missing) != 1 {
		t.Errorf("%v, %d, %v", err, res.Tree.Count, res.Missing)
	}
	res, err = Collect(t.Context(), Options{PID: pid, StartTicks: 1, Cgroup: filepath.Join(t.TempDir(), "no")})
	if err != nil || res.Tree.Count != 0 || len(res.Missing) != 2 {
		t.Errorf("%v, %+v", err, res.Tree)
	}
}
