package procbelong

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary plays the processes: a child that lives until its standard
// input ends, optionally with a grandchild that does the same.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCBELONG_ROLE") {
	case "leaf":
		_, _ = os.Stdout.WriteString(strconv.Itoa(os.Getpid()) + "\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	case "parent":
		c := exec.Command("/proc/self/exe")
		c.Env = []string{"PROCBELONG_ROLE=leaf", "GORACE=atexit_sleep_ms=0"}
		c.Stdin, c.Stdout = os.Stdin, os.Stdout
		_ = c.Run()
		return
	}
	os.Exit(m.Run())
}

type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	pidfd int
	leaf  int // the pid that the leaf printed
}

// spawn starts a child and waits until its leaf runs.
func spawn(t *testing.T, role, cgroup string) *child {
	t.Helper()
	c := &child{pidfd: -1}
	c.cmd = exec.Command("/proc/self/exe")
	c.cmd.Env = []string{"PROCBELONG_ROLE=" + role, "GORACE=atexit_sleep_ms=0"}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &c.pidfd}
	if cgroup != "" {
		d, err := os.Open(cgroup)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		c.cmd.SysProcAttr.UseCgroupFD, c.cmd.SysProcAttr.CgroupFD = true, int(d.Fd())
	}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = in
	t.Cleanup(func() { c.end(); _ = unix.Close(c.pidfd) })
	buf := make([]byte, 32)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if c.leaf, err = strconv.Atoi(strings.TrimSpace(string(buf[:n]))); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) end() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait()
}

func TestTree(t *testing.T) {
	family, stranger := spawn(t, "parent", ""), spawn(t, "leaf", "")
	m := Tree(family.cmd.Process.Pid)
	if ok, why := m.Belongs(family.cmd.Process.Pid, family.pidfd); !ok {
		t.Errorf("main process refused: %s", why)
	}
	if ok, why := m.Belongs(family.leaf, -1); !ok {
		t.Errorf("grandchild refused: %s", why)
	}
	if ok, why := m.Belongs(stranger.leaf, stranger.pidfd); ok || !strings.Contains(why, "does not descend") {
		t.Errorf("stranger: %v, %q", ok, why)
	}
	if ok, _ := m.Belongs(os.Getpid(), -1); ok {
		t.Error("our own process accepted")
	}
	if ok, why := m.Belongs(0, -1); ok || !strings.Contains(why, "namespace") {
		t.Errorf("pid 0: %v, %q", ok, why)
	}
	if ok, _ := (Members{}).Belongs(1, -1); ok {
		t.Error("the zero value has a member")
	}
	family.end()
	if ok, why := m.Belongs(family.cmd.Process.Pid, family.pidfd); ok || why != "sender gone" {
		t.Errorf("dead sender: %v, %q", ok, why)
	}
}

// hierarchy is where cgroup v2 is mounted: alone, or beside v1.
func hierarchy(t *testing.T) string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			return dir
		}
	}
	t.Skip("no cgroup v2 hierarchy is mounted")
	return ""
}

func mkcgroup(t *testing.T, dir string) string {
	if err := os.Mkdir(dir, 0o755); err != nil {
		if os.IsPermission(err) || os.IsExist(err) && os.Getuid() != 0 {
			t.Skipf("needs root to make a cgroup: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestCgroup(t *testing.T) {
	dir := mkcgroup(t, filepath.Join(hierarchy(t), "vigil-procbelong-"+strconv.Itoa(os.Getpid())))
	sub, sibling := mkcgroup(t, dir+"/sub"), mkcgroup(t, dir+"x")
	m, err := Cgroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	inside, below, beside := spawn(t, "leaf", dir), spawn(t, "leaf", sub), spawn(t, "leaf", sibling)
	for _, c := range []struct {
		name string
		c    *child
		want bool
	}{{"inside", inside, true}, {"below", below, true}, {"beside", beside, false}} {
		for _, fd := range []int{c.c.pidfd, -1} {
			if ok, why := m.Belongs(c.c.leaf, fd); ok != c.want {
				t.Errorf("%s (pidfd %d): %v, %q", c.name, fd, ok, why)
			}
		}
	}
	inside.end()
	ok, why := m.Belongs(inside.leaf, inside.pidfd)
	if _, known := cgroupID(inside.pidfd); known != ok {
		t.Errorf("dead sender: %v, %q, but the kernel knows its cgroup: %v", ok, why, known)
	}
	if ok, why := m.Belongs(inside.leaf, -1); ok || why != "sender gone" {
		t.Errorf("dead sender without pidfd: %v, %q", ok, why)
	}
}

func TestCgroupRefusesOtherDirectories(t *testing.T) {
	if _, err := Cgroup(t.TempDir()); err == nil {
		t.Error("an ordinary directory was taken for a cgroup")
	}
	if _, err := Cgroup("/nonexistent"); err == nil {
		t.Error("no error for a missing directory")
	}
}

func TestParse(t *testing.T) {
	if p, err := parseParent("12 (a) b) (c) S 7 12 12 0"); err != nil || p != 7 {
		t.Errorf("%d, %v", p, err)
	}
	for _, s := range []string{"", "1 (x", "1 (x)", "1 (x) S", "1 (x) S y"} {
		if _, err := parseParent(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
	if p, err := parseCgroup("4:memory:/x\n0::/a b (deleted)\n"); err != nil || p != "/a b" {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := parseCgroup("4:memory:/x\n"); err == nil {
		t.Error("no error without v2")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("12 (a) b) (c) S 7 12 12 0")
	f.Add("0::/x")
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = parseParent(s)
		_, _ = parseCgroup(s)
	})
}
