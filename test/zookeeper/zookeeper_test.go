package zookeeper

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Both ways of the examples.
var ways = []string{"standalone.toml", "zkserver.toml"}

// Statuses of a JVM's end.
const (
	exitTerm        = 128 + int(unix.SIGTERM) // it exits with that itself
	exitKill        = 128 + int(unix.SIGKILL)
	exitOutOfMemory = 3 // by ExitOnOutOfMemoryError
)

func TestCheckAcceptsTheExamples(t *testing.T) {
	for _, way := range append(ways, "ensemble.toml") {
		if out, err := exec.Command("vigil", "check", examples+"/"+way).CombinedOutput(); err != nil {
			t.Errorf("vigil check %s: %v\n%s", way, err, out)
		}
	}
}

func TestLife(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Setenv("ZOO_NOEXEC", "1") // would make java a child of the script
			s := place(t, way)
			begin := time.Now()
			v := up(t, s)
			s.serves(t, "/first")
			t.Logf("start to first good write: %s", time.Since(begin).Round(time.Millisecond))
			first := v.running()
			if first.Restarts != 0 || first.Instance != 1 {
				t.Errorf("after the start: %+v", first)
			}
			if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", first.PID)); err != nil || string(comm) != "java\n" {
				t.Errorf("the process that is watched is %q, %v", comm, err)
			}
			second := kill(t, v, first)
			stop(t, v, second)
			v.ask("start", "zookeeper")
			s.serves(t, "/third")
			s.has(t, "/second")
			if again := v.running(); again.PID == second.PID || again.Instance != 3 || again.Restarts != 1 {
				t.Errorf("after the stop and start: %+v", again)
			}
			v.incidents(1) // what is asked for is no incident
		})
	}
}

// kill kills the JVM and sees it come back.
func kill(t *testing.T, v *vigil, first control.Service) control.Service {
	t.Helper()
	fd, err := unix.PidfdOpen(first.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	begin := time.Now()
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	v.server.serves(t, "/second")
	t.Logf("kill -9 to first good write: %s", time.Since(begin).Round(time.Millisecond))
	v.server.has(t, "/first")
	second := v.restarted(1)
	if second.PID == first.PID || second.Instance != 2 || second.Cause != string(snapshot.CauseKilled) {
		t.Errorf("after kill -9: %+v", second)
	}
	i := v.incidents(1)[0]
	if i.Cause != snapshot.CauseKilled || i.Exit == nil || i.Exit.Signal != "KILL" || i.PID != first.PID || i.Instance != 1 {
		t.Errorf("incident after kill -9: %+v, exit %+v", i, i.Exit)
	}
	t.Logf("incident: %s", i.Sentence)
	return second
}

// stop stops the service and sees that it took TERM.
func stop(t *testing.T, v *vigil, old control.Service) {
	t.Helper()
	begin := time.Now()
	v.ask("stop", "zookeeper")
	took := time.Since(begin)
	t.Logf("vigil stop took %s", took.Round(time.Millisecond))
	if took >= mostStop {
		t.Errorf("it was not ended by TERM: the stop took %s", took)
	}
	s := v.status("the stopped service", func(s control.Service) bool { return s.State == "stopped" })
	if s.PID != 0 || s.Cause != string(snapshot.CauseRequested) || s.ExitCode == nil || *s.ExitCode != exitTerm || s.Desired != "down" {
		t.Errorf("after vigil stop: %+v, exit code %v", s, s.ExitCode)
	}
	if unix.Kill(old.PID, 0) == nil {
		t.Errorf("process %d is still there after vigil stop", old.PID)
	}
	if left := v.server.processes(); len(left) > 0 {
		t.Errorf("processes %v are left after vigil stop", left)
	}
}

// A critical thread dies, ZooKeeper exits with status 0, and nobody had asked.
func TestExitWithStatusZero(t *testing.T) {
	t.Parallel()
	s := place(t, "standalone.toml",
		edit{"-Xmx512m", "-Xmx256m"},
		edit{`"-XX:+ExitOnOutOfMemoryError",`, `"-Djute.maxbuffer=1000000000",`}, // twice of it fits an int and is more than giantLength
	)
	v := up(t, s)
	s.serves(t, "/first")
	first := v.running()
	begin := time.Now()
	if err := s.poison(mostServe); err != nil {
		t.Fatalf("cannot make a critical thread die: %v", err)
	}
	second := v.restarted(1)
	s.serves(t, "/second")
	t.Logf("poison packet to first good write: %s", time.Since(begin).Round(time.Millisecond))
	s.has(t, "/first")
	if second.PID == first.PID || second.Cause != string(snapshot.CauseExit) || second.ExitCode == nil || *second.ExitCode != 0 {
		t.Errorf("after the exit with status 0: %+v, exit code %v", second, second.ExitCode)
	}
	i := v.incidents(1)[0]
	if i.Cause != snapshot.CauseExit || i.Exit == nil || i.Exit.Code != 0 || i.Exit.Signal != "" {
		t.Errorf("incident after the exit with status 0: %+v, exit %+v", i, i.Exit)
	}
	t.Logf("incident: %s", i.Sentence)
}

// Too much at once for its memory: it dies and comes back.
func TestHeapExhausted(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		example string
		cause   snapshot.Cause
		code    int
	}{
		{"standalone.toml", snapshot.CauseExit, exitOutOfMemory},
		{"zkserver.toml", snapshot.CauseKilled, exitKill}, // by its own script's OnOutOfMemoryError
	} {
		t.Run(way.example, func(t *testing.T) {
			s := place(t, way.example, edit{"-Xmx512m", "-Xmx32m"})
			v := up(t, s)
			s.serves(t, "/first")
			first := v.running()
			begin := time.Now()
			fill(t, s)
			again := v.status("another instance", func(s control.Service) bool {
				return s.State == "running" && s.PID > 0 && s.Instance > 1 && s.Restarts >= 1
			})
			if again.PID == first.PID || again.Cause != string(way.cause) || again.ExitCode == nil || *again.ExitCode != way.code {
				t.Errorf("after the end of memory: %+v, exit code %v", again, again.ExitCode)
			}
			s.serves(t, "/second")
			t.Logf("first large write to good write again: %s", time.Since(begin).Round(time.Millisecond))
			s.has(t, "/first")
			again = v.running()
			list := v.incidents(int(again.Restarts))
			t.Logf("restarts %d; the first incident: %s", again.Restarts, list[len(list)-1].Sentence)
			if i := list[len(list)-1]; i.Cause != way.cause || i.PID != first.PID || i.Exit == nil {
				t.Errorf("incident: %+v, exit %+v", i, i.Exit)
			}
		})
	}
}

// fill writes nodes just below the limit of a packet, 1 MiB - 1, which together
// are more than a heap of 32 MB holds, until the server is gone.
func fill(t *testing.T, s *server) {
	t.Helper()
	const nodes, size = 40, 1<<20 - 4096
	err := s.session(mostSession, func(c *zk.Conn) error {
		for n := range nodes {
			if _, err := c.Create(fmt.Sprintf("/large-%d", n), make([]byte, size), 0, zk.WorldACL(zk.PermAll)); err != nil {
				t.Logf("large write %d: %v", n, err)
				return err
			}
		}
		return nil
	})
	if err == nil {
		t.Fatalf("%d nodes of a megabyte fitted into a heap of 32 MB", nodes)
	}
}
