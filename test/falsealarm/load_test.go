package falsealarm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/rig"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// cage is a cgroup v2 whose member gets little of something: by controllers of
// its own, or by those of cgroup v1 on a machine that has both.
type cage struct {
	group cgroup.Group
	old   []string
}

// bar is one limit of a cage, in the words of both versions.
type bar struct {
	controller, file, value string
	old                     []limit
}

type limit struct{ file, value string }

func newCage(t *testing.T, bars ...bar) cage {
	t.Helper()
	c := cage{group: group(t)}
	if _, err := os.ReadFile(filepath.Join(c.group.Path(), "cpu.pressure")); err != nil {
		t.Skipf("needs PSI: %v", err)
	}
	for _, b := range bars {
		if err := write(filepath.Join(c.group.Path(), b.file), b.value); err == nil {
			continue
		}
		dir := oldGroup(t, b.controller)
		for _, l := range b.old {
			put(t, filepath.Join(dir, l.file), l.value)
		}
		c.old = append(c.old, dir)
	}
	return c
}

// start starts a role in the cage, which it then takes up.
func (c cage) start(t *testing.T, role string) *service {
	t.Helper()
	s := start(t, role, inside(t, c.group))
	for _, dir := range c.old {
		put(t, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(s.pid()))
	}
	s.begin()
	return s
}

func TestStarved(t *testing.T) {
	c := newCage(t, bar{"cpu", "cpu.max", "1000 100000", []limit{{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "1000"}}})
	s := c.start(t, "spin")
	await(t, watchdog.NewLooker(), s.pid(), c.group.Path(), "starved", "no processor")
	// Without a cgroup the process itself tells.
	await(t, watchdog.NewLooker(), s.pid(), "", "starved", "a thread was ready")
}

// A service that does nothing has no excuse, however busy the machine is.
func TestDeadlockOnABusyMachine(t *testing.T) {
	g := group(t)
	s := start(t, "idle", inside(t, g))
	s.begin()
	for range 2 { // one for each processor makes nobody wait
		stop, err := rig.Burn()
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	l := watchdog.NewLooker()
	await(t, l, s.pid(), g.Path(), "")
	var f watchdog.Facts
	err := rig.Wait("pressure of the machine", patience, func() (bool, error) {
		l.Baseline()
		f = l.Look(s.pid(), g.Path(), 0)
		return !f.Machine.Known || f.Machine.CPU > 0.6, nil
	})
	if err != nil {
		t.Fatalf("%v: %+v", err, f)
	}
	if e := watchdog.Judge(f); e.Kind != watchdog.None {
		t.Errorf("%s; %+v", e, f)
	}
	await(t, l, s.pid(), "", "")
}

// A program that does not fit into memory, on a disk that is as slow as a
// rotating one: a fast one serves thousands of faults a second, and then paging
// hides no hang.
func TestPaging(t *testing.T) {
	path := large(t)
	disk := diskOf(t, path)
	c := newCage(t,
		bar{"memory", "memory.high", "16M", []limit{{"memory.limit_in_bytes", "24M"}}},
		bar{"blkio", "io.max", disk + " riops=200", []limit{{"blkio.throttle.read_iops_device", disk + " 200"}}})
	s := c.start(t, "fault "+path)
	await(t, watchdog.NewLooker(), s.pid(), c.group.Path(), "paging", "all its work waited")
	await(t, watchdog.NewLooker(), s.pid(), "", "paging", "major faults/s")
}

// large makes a file on a disk, none of which is in memory.
func large(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "vigil-falsealarm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Type == unix.TMPFS_MAGIC {
		t.Skipf("needs a /var/tmp that is on a disk: %v", err)
	}
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for range 256 {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// diskOf returns MAJOR:MINOR of the disk that a file is on, of which limits are
// made: not that of a partition.
func diskOf(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	block := fmt.Sprintf("/sys/dev/block/%d:%d/", unix.Major(st.Dev), unix.Minor(st.Dev))
	for _, dir := range []string{block + "../", block} {
		if dir == block+"../" {
			if _, err := os.Stat(block + "partition"); err != nil {
				continue
			}
		}
		if text, err := os.ReadFile(dir + "dev"); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	t.Skipf("needs a file system on one disk, to make it slow: %s is on device %d:%d", path, unix.Major(st.Dev), unix.Minor(st.Dev))
	return ""
}

// The kernel keeps who calls vfork in D until the child has called execve.
const vfork = `#include <stdio.h>
#include <unistd.h>
int main(void) {
	puts("ready");
	fflush(stdout);
	getchar();
	if (vfork() == 0) {
		pause();
		_exit(0);
	}
	return 0;
}
`

func TestUninterruptible(t *testing.T) {
	s := vforker(t)
	l := watchdog.NewLooker()
	await(t, l, s.pid(), "", "")
	s.begin()
	await(t, l, s.pid(), "", "uninterruptible", "1 of 1 threads")
	<-time.After(time.Second / 2) // until the next look has a window
	await(t, l, s.pid(), "", "uninterruptible", "1 of 1 threads")
	var g watchdog.Guard
	for range watchdog.MaxGrants {
		if e := g.Decide(watchdog.Judge(l.Look(s.pid(), "", 0))); e.Kind != watchdog.Grant {
			t.Errorf("%v: %s", e.Kind, e)
		}
	}
	if e := g.Decide(watchdog.Judge(l.Look(s.pid(), "", 0))); e.Kind != watchdog.None || !strings.Contains(e.Text, "threads wait in") {
		t.Errorf("%v: %s", e.Kind, e)
	}
}

func vforker(t *testing.T) *service {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "vfork.c"), filepath.Join(dir, "vfork")
	if err := os.WriteFile(source, []byte(vfork), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := launch(t, cmd)
	// The child too; before the parent is reaped, so the number is still theirs.
	t.Cleanup(func() { _ = syscall.Kill(-s.pid(), syscall.SIGKILL) })
	return s
}
