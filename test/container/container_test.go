package container

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// state is where vigil may write when it is not told otherwise in a test.
const state = "VIGIL_STATE_DIR=/run/state"

func TestExitCode(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -KILL $$": 137, "kill -SEGV $$": 139} {
		b := start(t, Layout{Entry: service(script), Env: []string{state}}, false)
		b.ends(code)
	}
	b := start(t, Layout{Entry: []string{vigil, "run", "--name", "a", "--restart", "never", "--", "/nowhere/cmd"}, Env: []string{state}}, false)
	b.ends(127)
}

// leftover is a script of a process that belongs to no service: it says that it
// is there, and when it gets TERM.
const leftover = `trap 'echo leftover >> $D/log; exit' TERM; echo there >> $D/left; while :; do sleep 0.05; done`

// stubborn does not care for TERM.
const stubborn = `trap '' TERM; echo there >> $D/left; while :; do sleep 1; done`

// polite is a service that says when it is up and when it got TERM.
const polite = `trap 'echo service >> $D/log; exit 5' TERM; echo up >> $D/up; while :; do sleep 0.05; done`

func quote(script string) string { return "'" + strings.ReplaceAll(script, "'", `'\''`) + "'" }

// beside is an entry point that leaves a process behind and becomes vigil.
func beside(script string, then []string) []string {
	words := make([]string, len(then))
	for i, w := range then {
		words[i] = quote(w)
	}
	return []string{"/bin/sh", "-c", "sh -c " + quote(script) + " & exec " + strings.Join(words, " ")}
}

func TestLeftoverGetsTermAfterServices(t *testing.T) {
	t.Parallel()
	b := start(t, Layout{Entry: beside(leftover, service(polite)), Env: []string{state}}, false)
	b.until("up", "up")
	b.until("left", "there")
	b.signal(syscall.SIGTERM)
	b.ends(5)
	if got := b.read("log"); got != "service\nleftover\n" {
		t.Errorf("order: %q", got)
	}
	if !strings.Contains(b.read("output"), "belong to no service") {
		t.Error("nothing is said of the leftover")
	}
}

// One that is stopped gets TERM too.
func TestStoppedLeftover(t *testing.T) {
	t.Parallel()
	b := start(t, Layout{Entry: beside(`trap 'echo leftover >> $D/log; exit' TERM; echo there >> $D/left; kill -STOP $$; sleep 100`, service(polite)), Env: []string{state}}, false)
	b.until("up", "up")
	b.until("left", "there")
	b.signal(syscall.SIGINT)
	b.ends(5)
	if got := b.read("log"); got != "service\nleftover\n" {
		t.Errorf("order: %q", got)
	}
}

func TestStubbornLeftoverIsKilled(t *testing.T) {
	t.Parallel()
	b := start(t, Layout{Entry: beside(stubborn, service(polite)), Env: []string{state}}, false)
	b.until("up", "up")
	b.until("left", "there")
	begin := time.Now()
	b.signal(syscall.SIGTERM)
	b.ends(5)
	took := time.Since(begin)
	t.Logf("ended after %v", took.Round(time.Millisecond))
	if took < 2*time.Second {
		t.Errorf("it had only %v of grace", took)
	}
	if !strings.Contains(b.read("output"), "killing them") {
		t.Error("nothing is said of the kill")
	}
}

// An orphan without cgroup, session or mark of its service is found at the end,
// when vigil is pid 1 and when it is only a subreaper.
func TestEscapedOrphan(t *testing.T) {
	t.Parallel()
	script := `env -i D=$D PATH=$PATH setsid sh -c ` + quote(leftover) + ` & wait=1; ` + polite
	asPID1 := service(script)
	below := beside("exit 0", nil)
	below[2] = "\"$V\" run --name a --restart never -- /bin/sh -c " + quote(script) + " & p=$!; trap 'kill -TERM $p' TERM; wait $p; wait $p; exit $?"
	for name, entry := range map[string][]string{"pid 1": asPID1, "subreaper": below} {
		b := start(t, Layout{Entry: entry, Env: []string{state}, Cgroup: "none"}, false)
		b.until("up", "up")
		b.until("left", "there")
		b.signal(syscall.SIGTERM)
		b.ends(5)
		if got := b.read("log"); !strings.Contains(got, "service\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Every signal but those that ask for the end, from outside and inside: pid 1
// stays.
func TestNoSignalSurprises(t *testing.T) {
	t.Parallel()
	b := start(t, Layout{Entry: service(polite), Env: []string{state}}, false)
	b.until("up", "up")
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGINT:
			continue
		}
		b.signal(n)
	}
	b.until("output", "reload done")
	b.until("output", "its log file is open anew")
	b.signal(syscall.SIGTERM)
	b.ends(5)
	out := b.read("output")
	if strings.Contains(out, "; services run on") || strings.Contains(out, "goroutine ") || strings.Count(out, "started as pid") != 1 {
		t.Errorf("a signal did more than it should")
	}
}

func TestSignalsFromInside(t *testing.T) {
	t.Parallel()
	script := `for s in HUP QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS; do kill -$s 1; done; ` + polite
	b := start(t, Layout{Entry: []string{vigil, "run", "--name", "a", "--restart", "never", "--", "/bin/bash", "-c", script}, Env: []string{state}}, false)
	b.until("up", "up")
	b.signal(syscall.SIGTERM)
	b.ends(5)
	if strings.Contains(b.read("output"), "supervisor pid") {
		t.Error("the supervisor died")
	}
}

// A TERM that comes when vigil has taken its lock, long before a supervisor is
// there, is kept and obeyed.
func TestTermAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		b := start(t, Layout{Entry: service("exec sleep 1000"), Env: []string{state}}, false)
		lock := fmt.Sprintf("/proc/%d/root/run/vigil/a/keeper.lock", b.cmd.Process.Pid)
		for begin := time.Now(); ; {
			if _, err := os.Lstat(lock); err == nil {
				break
			}
			if !b.running() || time.Since(begin) > patience {
				t.Fatal("vigil takes no lock")
			}
		}
		b.signal(syscall.SIGTERM)
		if code := b.end(); code != 0 && code != 128+int(unix.SIGTERM) {
			t.Errorf("it ended with %d", code)
		}
	}
}

// Ctrl-C reaches the keeper alone, and means the end; a new size of the window
// means nothing.
func TestTerminal(t *testing.T) {
	t.Parallel()
	b := start(t, Layout{Entry: service(polite), Env: []string{state}}, true)
	b.until("up", "up")
	if err := unix.IoctlSetWinsize(int(b.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.master.Write([]byte{26, 3}); err != nil { // ctrl-Z, ctrl-C
		t.Fatal(err)
	}
	b.ends(5)
	if strings.Contains(b.read("output"), "supervisor pid") {
		t.Error("ctrl-C killed the supervisor")
	}
}

func TestSurroundings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		layout Layout
		code   int
		say    string
	}{
		{"no cgroup", Layout{Cgroup: "none", Env: []string{state}}, 7, ""},
		{"read-only cgroup", Layout{Cgroup: "read-only", Env: []string{state}}, 7, ""},
		{"read-only root", Layout{ReadOnly: true, Env: []string{state}}, 7, ""},
		{"read-only root, no state", Layout{ReadOnly: true}, 111, "--state-dir"},
		{"nothing writable", Layout{ReadOnly: true, NoRun: true}, 111, "--runtime-dir"},
		{"not root", Layout{UID: 65534, Env: []string{state, "VIGIL_RUNTIME_DIR=/run/vigil"}}, 7, ""},
		{"not root, read-only", Layout{UID: 65534, ReadOnly: true, Cgroup: "read-only", Env: []string{state, "XDG_RUNTIME_DIR=/run"}}, 7, ""},
		{"not root, no home", Layout{UID: 65534, Env: []string{"XDG_RUNTIME_DIR=/run"}}, 111, "--state-dir"},
		{"no subreaper", Layout{NoReaper: true, Env: []string{state}}, 7, ""},
		{"proc of another namespace", Layout{ForeignFS: true, Env: []string{state}}, 111, "another pid namespace"},
		{"no proc", Layout{NoProc: true, Env: []string{state}}, 111, "/proc"},
	} {
		c.layout.Entry = service(`(setsid sleep 1000 &); exit 7`)
		b := start(t, c.layout, false)
		begin := time.Now()
		code := b.end()
		if took := time.Since(begin); code != c.code || !strings.Contains(b.read("output"), c.say) || took > patience/2 {
			t.Errorf("%s: code %d, want %d, after %v:\n%s", c.name, code, c.code, took, b.read("output"))
		}
	}
}

// A second vigil of the same name is refused, one of another name keeps its own
// service, and both end with the container.
func TestNested(t *testing.T) {
	t.Parallel()
	inner := `trap 'echo inner >> $D/log; exit' TERM; echo in >> $D/in; while :; do sleep 0.05; done`
	script := `"$V" run --name a -- true; echo code $? >> $D/second
		"$V" status --name a >> $D/status
		exec env VIGIL_STATE_DIR=/run/inner "$V" run --name b -- sh -c ` + quote(inner)
	b := start(t, Layout{Entry: service(script), Env: []string{state}}, false)
	b.until("in", "in")
	if got := b.read("second"); got != "code 100\n" {
		t.Errorf("the second vigil: %q", got)
	}
	if !strings.Contains(b.read("status"), "running") {
		t.Errorf("status inside: %q", b.read("status"))
	}
	b.signal(syscall.SIGTERM)
	b.ends(0)
	if b.read("log") != "inner\n" {
		t.Errorf("log: %q", b.read("log"))
	}
}

func TestUp(t *testing.T) {
	t.Parallel()
	config := `[service.db]
command = ["/bin/sh", "-c", "trap 'echo db >> $D/log; exit' TERM; echo up >> $D/db; while :; do sleep 0.05; done"]
[service.web]
command = ["/bin/sh", "-c", "trap 'echo web >> $D/log; exit' TERM; echo up >> $D/web; while :; do sleep 0.05; done"]
`
	then := []string{vigil, "up", "vigil.toml"}
	entry := beside(leftover, then)
	entry[2] = "printf %s " + quote(config) + " > vigil.toml; " + entry[2]
	b := start(t, Layout{Entry: entry, Env: []string{state}}, false)
	b.until("web", "up")
	b.until("db", "up")
	b.until("left", "there")
	b.signal(syscall.SIGTERM)
	b.ends(0)
	if got := b.read("log"); len(got) != len("web\ndb\nleftover\n") || !strings.HasSuffix(got, "leftover\n") {
		t.Errorf("order: %q", got)
	}
}
