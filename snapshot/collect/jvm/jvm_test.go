package jvm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

const java = "/usr/bin/java"

// machine is a real JVM with a deadlock of monitors, one of locks, and threads
// that wait behind the first.
type machine struct {
	cmd    *exec.Cmd
	output string
}

func start(t *testing.T, behind int, options ...string) *machine {
	t.Helper()
	for _, tool := range []string{java, "/usr/bin/javac"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skipf("this test needs a real JVM, and %s is missing: as root, run scripts/install-test-deps.sh", tool)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Deadlock.java"), []byte(deadlockJava), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("javac", "-d", dir, filepath.Join(dir, "Deadlock.java")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := &machine{output: filepath.Join(dir, "out")}
	out, err := os.Create(m.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	args := append([]string{"-Xmx64m", "-XX:TieredStopAtLevel=1", "-Xss256k"}, options...)
	m.cmd = exec.Command(java, append(args, "-cp", dir, "Deadlock", fmt.Sprint(behind))...)
	m.cmd.Stdout, m.cmd.Stderr = out, out
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
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
	opt.PID = m.cmd.Process.Pid
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
			if g.Status != "blocked" || g.WaitReason != "monitor" || g.Frames[0].File != "Deadlock.java" || g.Frames[0].Line == 0 || g.System {
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
	if left, _ := filepath.Glob("/tmp/.attach_pid" + fmt.Sprint(m.cmd.Process.Pid)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if err := m.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the JVM is gone: %v", err)
	}
}

func TestByJcmdAndSignal(t *testing.T) {
	m := start(t, 3)
	for _, rung := range []string{RungJcmd, RungSignal} {
		res := m.collect(Options{Rungs: []string{rung}})
		if rung == RungSignal { // it does not tell of synchronizers
			if res.Stacks == nil || len(res.Stacks.Deadlocks) != 1 {
				t.Errorf("%s: %+v %q", rung, res.Stacks, res.Missing)
			}
			continue
		}
		checkDeadlocks(t, res, 3)
	}
}

func TestByJhsdb(t *testing.T) {
	if _, err := exec.LookPath("jhsdb"); err != nil {
		t.Skip("this test needs jhsdb of a JDK: as root, run scripts/install-test-deps.sh")
	}
	m := start(t, 3)
	res := m.collect(Options{Rungs: []string{RungJhsdb}})
	if res.Stacks == nil || res.Stacks.Total < 7 {
		t.Fatalf("%+v %q", res.Stacks, res.Missing)
	}
	m.runs(t)
}

// runs waits until the process is neither stopped nor traced.
func (m *machine) runs(t *testing.T) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(stoppedBefore(m.cmd.Process.Pid)) > 0 {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("a debugger has left it stopped")
		}
	}
}

func TestNoAttach(t *testing.T) {
	m := start(t, 3, "-XX:+DisableAttachMechanism")
	res := m.collect(Options{Budget: 5 * time.Second, Rungs: []string{RungAttach, RungSignal}})
	if res.Stacks == nil || res.Stacks.Source != RungSignal || res.Ran[0].Result != "failed" || !strings.Contains(res.Ran[0].Reason, "DisableAttachMechanism") {
		t.Errorf("%+v %q", res.Ran, res.Missing)
	}
}

func TestStopped(t *testing.T) {
	m := start(t, 1)
	if err := m.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	limit := time.After(10 * time.Second)
	for len(stoppedBefore(m.cmd.Process.Pid)) == 0 {
		select {
		case <-limit:
			t.Fatal("it does not stop")
		default:
		}
	}
	res := m.collect(Options{})
	if res.Stacks != nil || len(res.Missing) != 1 || !strings.Contains(res.Missing[0], "it is stopped") {
		t.Errorf("%+v", res)
	}
}

// TestOtherUser: a JVM of another user takes the wish only from that user.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a JVM of another user: run this test as root")
	}
	if _, err := os.Stat(java); err != nil {
		t.Skip("this test needs a real JVM: as root, run scripts/install-test-deps.sh")
	}
	m := startAs(t, 65534)
	res := m.collect(Options{Rungs: []string{RungAttach}})
	if res.Stacks == nil {
		t.Errorf("%+v %q", res.Ran, res.Missing)
	}
}

func startAs(t *testing.T, uid uint32) *machine {
	t.Helper()
	m := &machine{output: filepath.Join(t.TempDir(), "out")}
	out, err := os.Create(m.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	// Its user may not read the directories of tests.
	dir, err := os.MkdirTemp("/var/tmp", "vigil-jvm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Deadlock.java"), []byte(deadlockJava), 0o644); err != nil {
		t.Fatal(err)
	}
	if o, err := exec.Command("javac", "-d", dir, filepath.Join(dir, "Deadlock.java")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, o)
	}
	m.cmd = exec.Command(java, "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", dir, "Deadlock", "1")
	m.cmd.Dir = dir
	m.cmd.Stdout, m.cmd.Stderr = out, out
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.cmd.Process.Kill(); _ = m.cmd.Wait() })
	m.await(t, "ready")
	return m
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Full thread dump X:\n\n\"a\" #1 [4] prio=5 tid=0x1 nid=0x2 waiting on condition [0x3]\n   java.lang.Thread.State: WAITING (parking)\n\tat a.B.c(java.base@17/B.java:12)\n\t- parking to wait for  <0x0004> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)\n\n   Locked ownable synchronizers:\n\t- <0x0005> (a X)\n\nJNI global refs: 5\n"))
	f.Add([]byte("Full thread dump\n\"a\nb\" #1 tid=0x1 nid=7 runnable\n"))
	f.Add([]byte("Thread 12: (state = BLOCKED)\n - a.B.c(int) @bci=5, line=7 (Compiled frame)\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, read := range []func([]byte) (dump, bool){parse, parseJhsdb} {
			d, found := read(text)
			s := stacksOf(d, "fuzz")
			if !found && len(d.threads) > 0 || s.Total != len(d.threads) || len(d.threads) > maxThreads {
				t.Errorf("%+v", d)
			}
		}
	})
}

func FuzzParseCounters(f *testing.F) {
	head := []byte{0xca, 0xfe, 0xc0, 0xc0, 1, 2, 0, 1, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0}
	entry := []byte{32, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 'J', 0, 1, 1, 24, 0, 0, 0, 'a', 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}
	f.Add(append(head, entry...))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := parseCounters(b)
		for _, c := range list {
			if len(c.name) > maxText || len(c.text) > 4*maxText {
				t.Errorf("%+v", c)
			}
		}
		safepoints(list)
	})
}

// TestParse reads dumps as versions of HotSpot print them.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       thread
	}{
		{"8", "Full thread dump OpenJDK 64-Bit Server VM (25.412-b08 mixed mode):\n\n\"main\" #1 prio=5 os_prio=0 tid=0x00007f8c4400b000 nid=0x1a2b in Object.wait() [0x00007f8c4b7fe000]\n   java.lang.Thread.State: WAITING (on object monitor)\n\tat java.lang.Object.wait(Native Method)\n\t- waiting on <0x00000000d5d8a0f8> (a java.lang.Object)\n\tat Main.main(Main.java:9)\n\t- locked <0x00000000d5d8a0f8> (a java.lang.Object)\n\n",
			thread{name: "main", number: 1, nid: 0x1a2b, doing: "in Object.wait()", state: "WAITING (on object monitor)", waitKind: kindWait}},
		{"17", "2026-11-25 08:52:00\nFull thread dump OpenJDK 64-Bit Server VM (17.0.16+8-Debian mixed mode, sharing):\n\nThreads class SMR info:\n_java_thread_list=0x0000, length=12, elements={\n0x1, 0x2\n}\n\n\"pool-1-thread-1\" #12 daemon prio=5 os_prio=0 cpu=0.15ms elapsed=3.21s tid=0x00007f nid=0x2b waiting for monitor entry  [0x00007f]\n   java.lang.Thread.State: BLOCKED (on object monitor)\n\tat app//a.B.c(B.java:7)\n\t- waiting to lock <0x0000000712345678> (a a.B)\n\n",
			thread{name: "pool-1-thread-1", number: 12, nid: 0x2b, daemon: true, doing: "waiting for monitor entry", state: "BLOCKED (on object monitor)", waitKind: kindEnter}},
		{"21", "Full thread dump OpenJDK 64-Bit Server VM (21.0.4+7 mixed mode):\n\n\"main\" #1 [4711] prio=5 os_prio=0 cpu=85.38ms elapsed=3.21s tid=0x00007f nid=4711 waiting on condition  [0x00007f]\n   java.lang.Thread.State: TIMED_WAITING (sleeping)\n\tat java.lang.Thread.sleep0(java.base@21.0.4/Native Method)\n\n",
			thread{name: "main", number: 1, nid: 4711, doing: "waiting on condition", state: "TIMED_WAITING (sleeping)"}},
		{"own", "Full thread dump X:\n\"VM Thread\" os_prio=0 cpu=1.2ms elapsed=3s tid=0x00007f nid=0x10 runnable  \n\nJNI global refs: 15, weak refs: 0\n",
			thread{name: "VM Thread", nid: 0x10, doing: "runnable"}},
	} {
		d, found := parse([]byte(tt.text))
		if !found || len(d.threads) != 1 {
			t.Errorf("%s: %+v", tt.name, d)
			continue
		}
		got := d.threads[0]
		if got.name != tt.want.name || got.number != tt.want.number || got.nid != tt.want.nid || got.daemon != tt.want.daemon || got.doing != tt.want.doing || got.state != tt.want.state || got.waitKind != tt.want.waitKind {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	d, _ := parse([]byte("Full thread dump X:\n\"a\" #1 tid=0x1 nid=0x1 runnable\n\tat app//a.B.c(B.java:7)\n\tat java.base@17/java.lang.Thread.run(Thread.java:833)\n\tat a.B.n(java.base@17.0.16/Native Method)\n"))
	for in, want := range map[string]string{"Main$$Lambda$14/0x0000000800c03000.run(Unknown Source)": "Main$$Lambda$14/0x0000000800c03000.run", "app//a.B.c(B.java:1)": "a.B.c"} {
		p := parser{d: &dump{}, t: &thread{}}
		if p.frame(in); p.t.frames[0].function != want {
			t.Errorf("%q became %+v", in, p.t.frames[0])
		}
	}
	if f := d.threads[0].frames; len(f) != 3 || f[0] != (frame{"a.B.c", "B.java", 7}) || f[1] != (frame{"java.lang.Thread.run", "Thread.java", 833}) || f[2] != (frame{"a.B.n", "Native Method", 0}) {
		t.Errorf("%+v", d.threads[0].frames)
	}
}
