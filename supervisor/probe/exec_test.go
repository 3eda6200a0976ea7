package probe

import (
	"bufio"
	"context"
	"errors"
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
	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// serviceGroup makes the cgroup of a service, and sees that nothing is left
// beside it.
func serviceGroup(t *testing.T) string {
	t.Helper()
	b, err := cgroup.Find()
	if err != nil {
		t.Skipf("needs a writable cgroup v2 hierarchy: %v", err)
	}
	above, err := b.Make(fmt.Sprintf("vigil-test-probe-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	g, err := above.Make("svc.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		entries, err := filepath.Glob(filepath.Join(above.Path(), "*.probe-*"))
		if err != nil || len(entries) > 0 {
			t.Errorf("groups are left: %v, %v", entries, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		if err := errors.Join(above.Kill(), above.WaitEmpty(ctx), above.Remove()); err != nil {
			t.Error(err)
		}
	})
	return g.Path()
}

// both runs a test with a cgroup and without.
func both(t *testing.T, test func(t *testing.T, group string)) {
	t.Run("cgroup", func(t *testing.T) { test(t, serviceGroup(t)) })
	t.Run("walk", func(t *testing.T) { test(t, "") })
}

func shell(t *testing.T, group, script string) Runner {
	t.Helper()
	r := NewExec(Exec{Command: []string{"/bin/sh", "-c", script}, Dir: "/", Env: []string{"PATH=/bin:/usr/bin", "A=b"}, Cgroup: group, MemoryMax: 64 << 20})
	closing(t, r)
	return r
}

func TestExec(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		for _, c := range []struct {
			script, text string
			ok           bool
		}{
			{"exit 0", "exit status 0", true},
			{"echo; echo all is well; echo more", "all is well", true},
			{"exit 3", "exit status 3", false},
			{"echo no luck >&2; exit 3", "exit status 3: no luck", false},
			{"kill -SEGV $$", "killed by SIGSEGV", false},
			{`printf '\033[31mred\n'`, `\x1b[31mred`, true},
			{"echo $A; pwd; read x && exit 1; exit 0", "b", true}, // its stdin is at its end
		} {
			r := shell(t, group, c.script)
			for range 2 {
				if res := want(t, r, most, c.ok, 1); res.Text != c.text {
					t.Errorf("%q: %q, want %q", c.script, res.Text, c.text)
				}
			}
		}
	})
}

func TestExecCannotStart(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		for _, command := range [][]string{{"/does/not/exist"}, {"/"}, {"no-such-program-anywhere"}, nil} {
			r := NewExec(Exec{Command: command, Cgroup: group})
			closing(t, r)
			want(t, r, most, false, 0, "cannot start the program: ")
		}
	})
}

// gone waits for the end of a process that is named by a text.
func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the end of process %d", pid), func() error {
		p, err := proctree.Read(pid)
		if err != nil || p.Zombie {
			return nil
		}
		return fmt.Errorf("it is %+v", p)
	})
}

func lastNumber(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text[strings.LastIndexByte(text, ' ')+1:])
	if err != nil {
		t.Fatalf("no number at the end of %q", text)
	}
	return n
}

// A program that hangs takes all with it, also who has a session of its own.
func TestExecHangs(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		r := shell(t, group, "setsid sleep 1000 & echo $!; trap '' TERM HUP; wait; sleep 1000")
		for range 2 {
			res := want(t, r, time.Second, false, 1, "no answer within T: ")
			gone(t, lastNumber(t, res.Text))
		}
	})
}

// A program that ends leaves nothing behind that holds its output.
func TestExecLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		r := shell(t, group, "setsid sleep 1000 & echo ok $!")
		res := want(t, r, most, true, 1, "ok ")
		gone(t, lastNumber(t, res.Text))
	})
}

func TestExecFlood(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		r := shell(t, group, "yes much | head -c 10000000")
		if res := want(t, r, most, true, 1); res.Text != "much" {
			t.Errorf("%q", res.Text)
		}
		r = shell(t, group, "cat /dev/zero")
		want(t, r, time.Second, false, 1, `no answer within T: \x00`)
	})
}

func TestExecUsesTooMuchMemory(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		r := shell(t, group, "echo grows; tail /dev/zero & wait")
		want(t, r, most, false, 1, "killed: it used ", " of the 64 MiB of memory that it may use: grows")
	})
}

func TestExecIsClosedMeanwhile(t *testing.T) {
	r := shell(t, "", "sleep 1000")
	started := make(chan struct{})
	go func() { <-started; r.(*execRunner).end(errClosed) }()
	res := r.Attempt(t.Context(), func() { close(started) })
	if res.OK || !strings.Contains(res.Text, errClosed.Error()) {
		t.Errorf("%+v", res)
	}
}

// Stand-in for state D, in which KILL does nothing: a process that the kill of
// this run does not reach.
type deadTree struct{ alive chan struct{} }

func (d deadTree) kill() error {
	select {
	case <-d.alive:
		return nil
	default:
		return errors.New("it does not die")
	}
}
func (deadTree) pids() []int       { return nil }
func (deadTree) outOfMemory() bool { return false }
func (deadTree) remove()           {}

func TestExecDoesNotPileUp(t *testing.T) {
	r := shell(t, "", "exit 0").(*execRunner)
	d := deadTree{alive: make(chan struct{})}
	u := newRun(r, &notice{})
	u.setTree(d)
	r.last = u
	go func() { defer close(u.done); u.guard(t.Context(), closed()) }()
	want(t, r, most, false, 0, "not started: the processes of an earlier attempt cannot be killed")
	close(d.alive)
	<-u.done
	want(t, r, most, true, 1)
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestExecCredential(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: becomes user 65534")
	}
	both(t, func(t *testing.T, group string) {
		r := NewExec(Exec{Command: []string{"id", "-u"}, Dir: "/", Cgroup: group, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
		closing(t, r)
		want(t, r, most, true, 1, "65534")
	})
}

// The test binary in the part of a supervisor that is killed.
const (
	roleName       = "VIGIL_PROBE_TEST_ROLE"
	roleSupervisor = "supervisor"
)

func orphanExec(group string) Exec {
	return Exec{Command: []string{"/bin/sh", "-c", "setsid sleep 1000 & echo $$ $! > $FILE; wait"},
		Dir: "/", Env: []string{"PATH=/bin:/usr/bin", "FILE=" + os.Getenv("VIGIL_PROBE_TEST_FILE")}, Cgroup: group}
}

func beSupervisor() {
	res := NewExec(orphanExec(os.Getenv("VIGIL_PROBE_TEST_GROUP"))).Attempt(context.Background(), nil)
	fmt.Println("unexpected:", res)
	os.Exit(1)
}

// A supervisor is killed with a probe under way: the program goes with it, the
// rest when the next supervisor asks again.
func TestExecSurvivesNoKilledSupervisor(t *testing.T) {
	both(t, func(t *testing.T, group string) {
		file := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		t.Setenv("VIGIL_PROBE_TEST_FILE", file)
		sup := exec.Command("/proc/self/exe")
		sup.Env = append(os.Environ(), roleName+"="+roleSupervisor, "VIGIL_PROBE_TEST_GROUP="+group)
		sup.Stdout = os.Stderr
		if err := sup.Start(); err != nil {
			t.Fatal(err)
		}
		if err := f.SetReadDeadline(time.Now().Add(most)); err != nil {
			t.Fatal(err)
		}
		var program, orphan int
		told, err := bufio.NewReader(f).ReadString('\n')
		if _, scanErr := fmt.Sscan(told, &program, &orphan); err != nil || scanErr != nil {
			t.Error(told, err, scanErr)
		}
		_ = sup.Process.Kill()
		_ = sup.Wait() // killed
		gone(t, program)
		if p, err := proctree.Read(orphan); err != nil || p.Zombie {
			t.Fatalf("the test needs an orphan: %+v, %v", p, err)
		}
		r := NewExec(orphanExec(group))
		closing(t, r)
		want(t, r, time.Second, false, 1, "no answer within T")
		gone(t, orphan)
	})
}
