package falsealarm

import (
	"context"
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

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

func TestStoppedByAnOperator(t *testing.T) {
	s := start(t, "idle", nil)
	l := watchdog.NewLooker()
	await(t, l, s.pid(), "", "")
	s.signal(syscall.SIGSTOP)
	await(t, l, s.pid(), "", "stopped", "state T")
	s.signal(syscall.SIGCONT)
	await(t, l, s.pid(), "", "")
}

// group makes a cgroup v2 of its own that is emptied and removed at the end.
func group(t *testing.T) cgroup.Group {
	t.Helper()
	b, err := cgroup.Find()
	if err != nil {
		t.Skipf("needs a writable cgroup v2 hierarchy: %v", err)
	}
	g, err := b.Make(fmt.Sprintf("vigil-falsealarm-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, g) })
	return g
}

func end(t *testing.T, g cgroup.Group) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(g.Freeze(false), g.Kill(), g.WaitEmpty(ctx), g.Remove()); err != nil {
		t.Error(err)
	}
}

// inside has a process started in the group.
func inside(t *testing.T, g cgroup.Group) *syscall.SysProcAttr {
	t.Helper()
	fd, err := g.OpenDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
}

func TestFrozenCgroup(t *testing.T) {
	above := group(t)
	g, err := above.Make("service")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, g) })
	s := start(t, "idle", inside(t, g))
	l := watchdog.NewLooker()
	await(t, l, s.pid(), g.Path(), "")
	for _, frozen := range []cgroup.Group{g, above} {
		if err := frozen.Freeze(true); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.WaitFrozen(ctx); err != nil {
			t.Fatal(err)
		}
		await(t, l, s.pid(), g.Path(), "frozen", "cgroup.freeze of "+frozen.Path())
		await(t, l, s.pid(), "", "frozen", "in the kernel, at ") // to whom its cgroup is not known
		if err := frozen.Freeze(false); err != nil {
			t.Fatal(err)
		}
		await(t, l, s.pid(), g.Path(), "")
	}
}

// Containers on older machines are paused by the freezer of cgroup v1.
func TestFrozenByTheOldFreezer(t *testing.T) {
	dir := oldGroup(t, "freezer")
	s := start(t, "idle", nil)
	put(t, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(s.pid()))
	l := watchdog.NewLooker()
	await(t, l, s.pid(), "", "")
	put(t, filepath.Join(dir, "freezer.state"), "FROZEN")
	t.Cleanup(func() { _ = write(filepath.Join(dir, "freezer.state"), "THAWED") })
	await(t, l, s.pid(), "", "frozen")
	put(t, filepath.Join(dir, "freezer.state"), "THAWED")
	await(t, l, s.pid(), "", "")
}

// oldGroup makes a group of a cgroup v1 controller, which is removed at the end.
func oldGroup(t *testing.T, controller string) string {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/cgroup/%s/vigil-falsealarm-%d", controller, os.Getpid())
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(dir), &fs); err != nil || fs.Type != unix.CGROUP_SUPER_MAGIC {
		t.Skipf("needs the controller %s of cgroup v1", controller)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("needs a writable hierarchy of the controller %s: %v", controller, err)
	}
	t.Cleanup(func() {
		// What a supervisor killed in it is reaped in its own time.
		var err error
		for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
			if err = os.Remove(dir); !errors.Is(err, unix.EBUSY) {
				break
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

func put(t *testing.T, path, value string) {
	t.Helper()
	if err := write(path, value); err != nil {
		t.Fatal(err)
	}
}

func write(path, value string) error { return os.WriteFile(path, []byte(value), 0) }

// Our own loop is late for real: it is stopped for longer than its timer.
func TestLateLoop(t *testing.T) {
	s := start(t, "timer", nil)
	s.begin()
	s.line() // its loop goes round
	s.signal(syscall.SIGSTOP)
	l := watchdog.NewLooker()
	await(t, l, s.pid(), "", "stopped")
	<-after(400) // longer than a loop may be late
	s.signal(syscall.SIGCONT)
	for {
		if e := s.line(); strings.HasPrefix(e, "late-loop") {
			t.Log(e)
			return
		}
	}
}
