package supervisor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
)

// playAlone holds a lock for as long as it lives, says so where it does not get
// it, and ends by itself in a moment.
func playAlone(term <-chan os.Signal) int {
	f, err := os.OpenFile("alone", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 3
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		touch(fmt.Sprintf("twice.%d", os.Getpid()))
		return 4
	}
	fmt.Println("alone")
	select {
	case <-term:
		return 0
	case <-time.After(time.Duration(rand.IntN(400)) * time.Millisecond):
		return 1
	}
}

// dies is kill -9 of the keeper, of its supervisor too if both.
func (v *vigil) dies(both bool) {
	v.t.Helper()
	get := func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) }
	supervisor := 0
	if both {
		supervisor = await(v, "a supervisor", get, func(control.Instance) bool { return true }).Supervisor
	}
	if err := v.cmd.Process.Kill(); err != nil {
		v.t.Fatal(err)
	}
	if supervisor != 0 {
		_ = unix.Kill(supervisor, unix.SIGKILL) // or it has ended already
	}
	<-v.over
}

// recorded waits until the keeper has heard of a state, too: what a supervisor
// has said and nobody has read is lost with both.
func (v *vigil) recorded(state string) control.Service {
	v.t.Helper()
	return v.service("a note of "+state, func(s control.Service) bool {
		b, err := os.ReadFile(v.path("run", "keep", "note.s"))
		return err == nil && s.State == state && strings.Contains(string(b), fmt.Sprintf(`"state":%q`, state))
	})
}

// TestKeeperKilled kills the keeper again and again while a service beats and
// writes: for the service nothing happens. A supervisor that loses its keeper
// writes what it has read; one that is killed too may lose that.
func TestKeeperKilled(t *testing.T) {
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprintf("supervisor too %v", both), func(t *testing.T) {
			v := up(t, "beat", beats, "")
			before := v.recorded("running")
			const kills = 5
			for range kills {
				<-time.After(time.Duration(20+rand.IntN(200)) * time.Millisecond)
				v.dies(both)
				v.launch()
				s := v.service("the service", func(control.Service) bool { return true })
				if s.PID != before.PID || s.Restarts != 0 || s.Instance != 1 || s.State != "running" {
					t.Fatalf("the service is %+v, was %+v", s, before)
				}
			}
			after := v.service("beats that are judged", func(s control.Service) bool {
				return s.State == "running" && s.Heartbeat != nil && s.Heartbeat.State == "ok"
			})
			v.ask(control.Stop, true)
			if s := v.state("stopped"); s.PID != 0 || s.Restarts != 0 || s.ExitCode == nil || *s.ExitCode != 0 {
				t.Errorf("after the stop %+v", s)
			}
			if both {
				return // what was read and not yet written is lost with both
			}
			checkLines(t, after.Output.File)
		})
	}
}

// TestKeeperKilledDuringBackoff: counts and the time of the next start go on.
func TestKeeperKilledDuringBackoff(t *testing.T) {
	v := up(t, "fail", "restart = { backoff = { min = \"4s\", max = \"4s\", jitter = 0.0 } }", "")
	before := v.service("backoff with a start planned", func(s control.Service) bool { return s.State == "backoff" && s.NextStart > 0 })
	v.recorded("backoff")
	v.dies(true)
	v.launch()
	after := v.service("any", func(control.Service) bool { return true })
	if after.State != "backoff" || after.NextStart >= before.NextStart || after.Restarts != before.Restarts || after.Instance != before.Instance {
		t.Errorf("backoff was %+v, is %+v", before, after)
	}
	next := v.service("the next start", func(s control.Service) bool { return s.Instance > before.Instance })
	if next.Instance != before.Instance+1 || next.Restarts != before.Restarts+1 {
		t.Errorf("instance %+v followed %+v", next, before)
	}
}

// TestKeeperKilledAtRandom kills at any moment of starts, ends, stops and
// restarts. There are never two instances, and no count goes back.
func TestKeeperKilledAtRandom(t *testing.T) {
	v := up(t, "alone", `restart = { backoff = { min = "20ms", max = "100ms" }, limit = { starts = 1000, within = "1m" } }`, "")
	var last control.Service
	for range 20 {
		s := v.service("the service", func(control.Service) bool { return true })
		if s.Instance < last.Instance || s.Restarts < last.Restarts {
			t.Errorf("%+v came after %+v", s, last)
		}
		last = s
		if n := rand.IntN(4); n < 3 {
			v.ask([]control.Verb{control.Start, control.Stop, control.Restart}[n], false)
		}
		<-time.After(time.Duration(rand.IntN(100)) * time.Millisecond)
		v.dies(rand.IntN(2) == 0)
		v.launch()
	}
	v.service("the service", func(control.Service) bool { return true })
	v.ask(control.Start, false)
	v.service("life", func(s control.Service) bool { return s.Instance > last.Instance+2 })
	v.ask(control.Stop, true)
	if twice, _ := filepath.Glob(v.path("twice.*")); len(twice) > 0 {
		t.Errorf("a second instance ran: %v", twice)
	}
}

// TestAdoptedAndHeld: nobody tells the keeper that an adopted process is stopped.
// It is not to blame for its silence all the same.
func TestAdoptedAndHeld(t *testing.T) {
	v := up(t, "beat", strings.Replace(beats, "4s", "1s", 1), "")
	before := v.recorded("running")
	v.dies(true)
	v.launch()
	v.state("running")
	if err := unix.Kill(before.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	v.says("somebody stopped it")
	if err := unix.Kill(before.PID, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	v.says("it runs on")
	after := v.service("beats that are judged", func(s control.Service) bool { return s.Heartbeat != nil && s.Heartbeat.State == "ok" })
	if after.PID != before.PID || after.Restarts != 0 || after.Incident != "" {
		t.Errorf("the service was %+v, is %+v", before, after)
	}
}

// says waits for a text on vigil's standard error.
func (v *vigil) says(text string) {
	v.t.Helper()
	v.service(text, func(control.Service) bool { return strings.Contains(v.out.String(), text) })
}

// TestAdoptWithout: what a killed keeper left is not complete. What runs counts,
// and what is known of nobody any more is started anew.
func TestAdoptWithout(t *testing.T) {
	for _, c := range []struct {
		lost string
		dead bool // the service as well
	}{{"note.s", false}, {"child.s%231", false}, {"*", false}, {"child.s%231", true}, {"supervisor", false}} {
		t.Run(fmt.Sprintf("%s/%v", strings.Trim(c.lost, "*."), c.dead), func(t *testing.T) {
			v := up(t, "beat", beats, "")
			before := v.recorded("running")
			if before.Cgroup == "" && c.lost != "note.s" && !c.dead && c.lost != "supervisor" {
				fmt.Fprintln(os.Stderr, "skipped: without a cgroup a service without a record is not found")
				t.Skip("needs a cgroup")
			}
			v.dies(true)
			files, err := filepath.Glob(v.path("run", "keep", c.lost))
			if err != nil || len(files) == 0 {
				t.Fatalf("no %s: %v", c.lost, err)
			}
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			if c.dead {
				if err := unix.Kill(before.PID, unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
				for unix.Kill(before.PID, 0) == nil { // pid 1 takes its time
					<-time.After(time.Millisecond)
				}
			}
			v.launch()
			after := v.service("the service", func(s control.Service) bool { return s.State == "running" && s.Ready })
			if !c.dead && (after.PID != before.PID || after.Instance != 1) || c.dead && after.Instance != 2 {
				t.Errorf("the service was %+v, is %+v", before, after)
			}
			v.ask(control.Restart, true)
			if s := v.state("running"); s.Instance != after.Instance+1 {
				t.Errorf("after a restart %+v", s)
			}
		})
	}
}

// A service tells that it is ready while the keeper is dead, to a socket that
// refuses it. It is not ended for that: who lives so long is taken for ready.
func TestReadyWhileTheKeeperIsDead(t *testing.T) {
	v := up(t, "unheard", "start_timeout = \"5s\"\n[service.s.ready]\nnotify = true\n", "")
	before := v.service("a process that starts", func(s control.Service) bool { return s.State == "starting" && s.PID != 0 })
	v.dies(true)
	touch(v.path("go"))
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for said := ""; said == ""; {
		select {
		case <-limit:
			t.Fatal("the service does not say that it is ready")
		case <-tick.C:
		}
		b, _ := os.ReadFile(v.path("told"))
		if said = string(b); said != "" && !strings.Contains(said, "refused") {
			t.Fatalf("somebody heard that the service is ready: %s", said)
		}
	}
	v.launch()
	after := v.service("a service that is taken for ready", func(s control.Service) bool { return s.State == "running" && s.Ready })
	if after.PID != before.PID || after.Instance != 1 || after.Restarts != 0 {
		t.Errorf("the service is %+v, was %+v", after, before)
	}
}
