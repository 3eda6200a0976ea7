package jvm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestByJcmd(t *testing.T) {
	m := start(t, 3)
	checkDeadlocks(t, m.collect(Options{Rungs: []string{RungJcmd}}), 3)
}

// TestNoAttach: SIGQUIT tells of the heap and of deadlocks as well, which come
// after the threads.
func TestNoAttach(t *testing.T) {
	m := start(t, 3, "-XX:+DisableAttachMechanism")
	before := time.Now()
	res := m.collect(Options{Rungs: []string{RungAttach, RungSignal}})
	t.Logf("took %v", time.Since(before).Round(time.Millisecond))
	checkDeadlocks(t, res, 3)
	if res.Stacks.Source != RungSignal || res.Ran[0].Result != "failed" || !strings.Contains(res.Ran[0].Reason, "DisableAttachMechanism") {
		t.Errorf("%+v %q", res.Ran, res.Missing)
	}
	if len(res.Report.Heap) < 2 || !strings.Contains(res.Report.Heap[0], "heap") {
		t.Errorf("heap: %q", res.Report.Heap)
	}
}

func needJhsdb(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("jhsdb"); err != nil {
		t.Skip("this test needs jhsdb of a JDK: as root, run scripts/install-test-deps.sh")
	}
}

// TestStopped: a JVM that is stopped is read from outside, and stays as it was.
func TestStopped(t *testing.T) {
	needJhsdb(t)
	m := start(t, 3)
	if err := m.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	m.awaitState(t, "T")
	res := m.collect(Options{})
	checkDeadlocks(t, res, 3)
	if res.Stacks.Source != RungJhsdb || !strings.Contains(res.Ran[0].Reason, "it is stopped") || !strings.Contains(res.Ran[2].Reason, "it is stopped") {
		t.Errorf("%+v", res.Ran)
	}
	m.awaitState(t, "T")
}

// TestNoSafepoint: who holds up all others is named, in the time that is left.
func TestNoSafepoint(t *testing.T) {
	needJhsdb(t)
	m := launch(t, nil, nil, "-XX:LoopStripMiningIter=0", "-XX:-UseCountedLoopSafepoints", "Spin")
	res := m.collect(Options{Budget: 10 * time.Second})
	if res.Stacks == nil {
		t.Fatalf("%+v", res.Ran)
	}
	if res.Stacks.Source != RungJhsdb {
		t.Skipf("it came to a safepoint after all, or had not begun its loop: %+v", res.Ran)
	}
	if all := strings.Join(res.Stacks.Notes, "; "); !strings.Contains(all, `thread "never polls"`) {
		t.Errorf("notes: %s", all)
	}
	if !strings.Contains(res.Ran[1].Reason, "not tried") {
		t.Errorf("%+v", res.Ran)
	}
}

// TestJhsdbInTheMiddle: one that is ended leaves nothing stopped.
func TestJhsdbInTheMiddle(t *testing.T) {
	needJhsdb(t)
	m := start(t, 1)
	for limit := 400 * time.Millisecond; limit <= 800*time.Millisecond; limit += 400 * time.Millisecond {
		res := m.collect(Options{Budget: limit, Rungs: []string{RungJhsdb}})
		if res.Stacks != nil && len(res.Stacks.Notes) == 0 {
			t.Logf("done within %v", limit)
		}
		m.awaitState(t, "S")
	}
}

// awaitState waits until all threads are in a state; S is any in which it goes on.
func (m *machine) awaitState(t *testing.T, state string) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", m.pid))
		stopped := 0
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err == nil && (strings.Contains(string(text), ") T ") || strings.Contains(string(text), ") t ")) {
				stopped++
			}
		}
		if len(files) > 0 && (state == "T") == (stopped == len(files)) && (state == "S") == (stopped == 0) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%d of %d threads are stopped, want state %s", stopped, len(files), state)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a JVM of another user or in a namespace: run this test as root")
	}
}

// asNobody is the helper's right to a JVM of another user.
func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// TestOtherUser: a JVM of another user is asked as that user, also by a helper
// that has only the rights of vigil-capture.
func TestOtherUser(t *testing.T) {
	needRoot(t)
	m := launch(t, asNobody(), nil, "Deadlock", "1")
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("this test needs setpriv of util-linux")
	}
	cmd := exec.Command("setpriv", "--bounding-set=-all,+sys_ptrace,+dac_read_search,+sys_admin,+kill,+setuid,+setgid",
		os.Args[0], "-test.run=^TestAsHelper$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("VIGIL_TEST_JVM=%d", m.pid))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAsHelper") {
		t.Errorf("%v: %s", err, out)
	}
	checkDeadlocks(t, m.collect(Options{Rungs: []string{RungJcmd}}), 1)
}

// TestAsHelper is what TestOtherUser runs.
func TestAsHelper(t *testing.T) {
	var pid int
	if _, err := fmt.Sscan(os.Getenv("VIGIL_TEST_JVM"), &pid); err != nil {
		t.Skip("a part of TestOtherUser")
	}
	res := Collect(t.Context(), Options{PID: pid, Budget: 30 * time.Second, Rungs: []string{RungAttach}})
	checkDeadlocks(t, res, 1)
	if len(res.Report.Heap) == 0 || len(res.Report.Safepoint) == 0 {
		t.Errorf("%+v", res.Report)
	}
}

// TestNamespaces: a JVM that is process 1 of its own pid namespace and has a /tmp
// of its own.
func TestNamespaces(t *testing.T) {
	needRoot(t)
	how := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	m := launch(t, how, []string{"/bin/sh", "-c", `mount --make-rprivate / && mount -t tmpfs none /tmp && mount -t proc none /proc && exec "$0" "$@"`}, "Deadlock", "1")
	res := m.collect(Options{Rungs: []string{RungAttach}})
	checkDeadlocks(t, res, 1)
	if len(res.Report.Safepoint) == 0 {
		t.Errorf("%+v", res.Report)
	}
}

// TestOtherProcess: the number belongs to another process by now.
func TestOtherProcess(t *testing.T) {
	res := Collect(t.Context(), Options{PID: os.Getpid(), StartTicks: 1, Budget: time.Second})
	if res.Stacks != nil || len(res.Missing) != 1 || !strings.Contains(res.Missing[0], "another process") {
		t.Errorf("%+v", res)
	}
}
