package reload

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
)

// TestStatusDuringReloads never fails.
func TestStatusDuringReloads(t *testing.T) {
	v := up(t, service(t, "a", "lines", beats))
	a := v.running("a")
	over := make(chan struct{})
	var asking sync.WaitGroup
	asked := 0
	asking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			asked++
			out, code := v.cli("status", "--json")
			var list []control.Service
			if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) != 1 || list[0].PID != a.PID {
				t.Errorf("status: exit code %d, %v\n%s", code, err, out)
			}
		}
	})
	for range 50 {
		v.done()
	}
	close(over)
	asking.Wait()
	t.Logf("asked %d times", asked)
}

// TestAskDuringReload: each order is carried out once, and told truly.
func TestAskDuringReload(t *testing.T) {
	v := up(t, service(t, "a", "lines", beats))
	instance := v.running("a").Instance
	for range 8 {
		for _, verb := range []string{"restart", "stop", "start", "restart"} {
			v.done0()
			out := v.must(verb, "a")
			s := v.service("a", "any", func(control.Service) bool { return true })
			if verb != "stop" {
				instance++
			}
			state := map[bool]string{true: "stopped", false: "running"}[verb == "stop"]
			if s.Instance != instance || s.State != state || out != "a is "+state+"\n" || s.Restarts != 0 {
				t.Fatalf("after %s: %q, %+v, want instance %d", verb, out, s, instance)
			}
		}
	}
}

// stream is a command that shows what happens.
func (v *vigil) stream(args ...string) (lines <-chan string, ended <-chan error) {
	v.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "one"), append([]string{"--name", filepath.Base(v.dir)}, args...)...)
	cmd.Env = v.env()
	var errors safe
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	said, end := make(chan string, 1<<20), make(chan error, 1)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			said <- s.Text()
		}
		close(said)
		err := cmd.Wait()
		if text := errors.String(); text != "" {
			v.t.Logf("vigil %s says: %s", strings.Join(args, " "), text)
		}
		end <- err
	}()
	v.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return said, end
}

// TestFollowOverReloads: what is followed goes on without a gap, to the end of
// vigil, which is no error.
func TestFollowOverReloads(t *testing.T) {
	v := up(t, service(t, "a", "lines", ""))
	v.running("a")
	lines, linesEnd := v.stream("logs", "-f", "-n", "1000", "a")
	events, eventsEnd := v.stream("events", "--follow", "--json")
	first := <-lines
	<-events
	for range 10 {
		v.done()
	}
	i := v.crash()
	v.must("stop", "a")
	v.end()
	for name, end := range map[string]<-chan error{"logs": linesEnd, "events": eventsEnd} {
		if err := <-end; err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	var text strings.Builder
	text.WriteString(first + "\n")
	for l := range lines {
		text.WriteString(l + "\n")
	}
	all := text.String()
	if !strings.Contains(all, "last ") {
		t.Error("the last words are missing")
	}
	// The crash may take lines along that it had read. On a busy machine the
	// client may also come back so late that lines have left the tail; of ten
	// reloads few may.
	gaps, next := 0, 0
	for _, m := range numbered.FindAllStringSubmatch(all, -1) {
		n := number(m[2])
		if m[1] == "line" && next != 0 && n != next {
			gaps++
		}
		next = n + 1
	}
	if gaps > 1 {
		t.Logf("%d gaps in the lines that were shown", gaps)
	}
	if gaps > 5 {
		t.Errorf("%d gaps in the lines that were shown", gaps)
	}
	seq, reloads := uint64(1), 0
	for l := range events {
		var e control.Event
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		if e.Seq != seq+1 {
			t.Errorf("event %d follows %d", e.Seq, seq)
		}
		seq = e.Seq
		if e.Kind == "reload" {
			reloads++
		}
	}
	if reloads != 10 {
		t.Errorf("%d reloads were shown, the last supervisor is %+v", reloads, i)
	}
}

// TestSilentClient: one that has connected and says nothing does not hold a
// reload up.
func TestSilentClient(t *testing.T) {
	v := up(t, service(t, "a", "lines", ""))
	v.running("a")
	c, err := client.Dial(v.file("run", control.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Instance(context.Background()); err != nil { // it keeps its connection
		t.Fatal(err)
	}
	conn, err := dialRaw(v)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	v.done()
	if strings.Contains(v.out.String(), "did not make room") {
		t.Error("the supervisor was killed")
	}
}
