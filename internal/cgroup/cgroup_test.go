package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("CGROUP_TEST_ROLE") == "find" {
		_, err := Find()
		fmt.Println(err)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// group makes a group that is killed and removed at the end.
func group(t *testing.T) Group {
	t.Helper()
	b, err := Find()
	if err != nil {
		t.Skipf("needs a writable cgroup v2 hierarchy: %v", err)
	}
	g, err := b.Make(fmt.Sprintf("vigil-test-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if g.exists() {
			if err := errors.Join(g.Kill(), g.WaitEmpty(context.Background()), g.Remove()); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

// tree starts a shell in g with children, one of them in a session of its own,
// and waits until all exist.
func tree(t *testing.T, g Group) *exec.Cmd {
	t.Helper()
	fd, err := g.OpenDir()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cmd := exec.Command("/bin/sh", "-c", "sleep 1000 & setsid sleep 1000 & (sleep 1000 >/dev/null &); echo ready; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	return cmd
}

func testKill(t *testing.T, kill func(Group) error) {
	g := group(t)
	if p, err := g.Populated(); p || err != nil {
		t.Errorf("new group: populated %v, %v", p, err)
	}
	cmd := tree(t, g)
	if pids, err := g.Procs(); len(pids) < 4 || err != nil {
		t.Errorf("processes %v, %v", pids, err)
	}
	if err := g.Remove(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("removing a group with processes: %v", err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := g.WaitEmpty(ctx); !errors.Is(err, why) {
		t.Errorf("WaitEmpty with a cancelled context: %v", err)
	}
	if err := kill(g); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // killed
	if err := g.WaitEmpty(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("second Remove: %v", err)
	}
	if err := g.WaitEmpty(t.Context()); err != nil {
		t.Errorf("WaitEmpty of a removed group: %v", err)
	}
	if err := g.Kill(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Kill of a removed group: %v", err)
	}
}

func TestKill(t *testing.T)     { testKill(t, Group.Kill) }
func TestKillEach(t *testing.T) { testKill(t, Group.killEach) }

func TestFreezeAndNested(t *testing.T) {
	g := group(t)
	nested := filepath.Join(g.Path(), "a", "b")
	if err := os.MkdirAll(nested, 0o755); err != nil {
		t.Fatal(err)
	}
	inner, err := Open(nested)
	if err != nil || inner.ID() == g.ID() {
		t.Fatal(err)
	}
	cmd := tree(t, inner)
	if err := g.Freeze(true); err != nil {
		t.Fatal(err)
	}
	if err := g.WaitFrozen(t.Context()); err != nil {
		t.Error(err)
	}
	if f, err := inner.Frozen(); !f || err != nil {
		t.Errorf("nested group: frozen %v, %v", f, err)
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // killed
	if err := errors.Join(g.WaitEmpty(t.Context()), g.Remove()); err != nil {
		t.Error(err)
	}
}

func TestMakeRefusesNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a\nb"} {
		if _, err := (Base{path: t.TempDir()}).Make(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotCgroup) {
		t.Errorf("a plain directory: %v", err)
	}
}

func TestLocate(t *testing.T) {
	const (
		pure   = "30 22 0:27 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
		hybrid = "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n31 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
			"40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
		inner = "30 22 0:27 /pod /my\\040cgroup rw - cgroup2 cgroup2 rw\n"
	)
	for _, c := range []struct {
		mounts, own, want string
		err               error
	}{
		{pure, "0::/system.slice/a.service\n", "/sys/fs/cgroup/system.slice/a.service", nil},
		{hybrid, "1:cpu:/x\n0::/\n", "/sys/fs/cgroup/unified", nil},
		{inner, "0::/pod/c\n", "/my cgroup/c", nil},
		{inner, "0::/other\n", "", ErrOutside},
		{pure, "0::/../x\n", "", ErrOutside},
		{pure, "1:cpu:/x\n", "", ErrNotMounted},
		{"", "0::/\n", "", ErrNotMounted},
		{"garbage - cgroup2 \n", "0::/\n", "", ErrNotMounted},
	} {
		if got, err := locate(c.mounts, c.own); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q %q: %q, %v", c.mounts, c.own, got, err)
		}
	}
}

// TestUnprivileged: the text that a user without delegation reads.
func TestUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: becomes user 65534")
	}
	b, err := Find()
	if err != nil {
		t.Skipf("needs a writable cgroup v2 hierarchy: %v", err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = []string{"CGROUP_TEST_ROLE=find"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	want := "cannot make cgroups in " + b.Path() + ": permission denied\n"
	if err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

func FuzzKeyed(f *testing.F) {
	f.Add("populated 1\nfrozen 0\n", "frozen")
	f.Fuzz(func(t *testing.T, text, key string) { keyed(text, key) })
}

func FuzzLocate(f *testing.F) {
	f.Add("40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", "0::/\n")
	f.Fuzz(func(t *testing.T, mounts, own string) {
		if path, err := locate(mounts, own); (path == "") != (err != nil) {
			t.Error(path, err)
		}
	})
}
