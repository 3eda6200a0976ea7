package supervisor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
)

const beats = "[service.s.ready]\nnotify = true\n[service.s.heartbeat]\ntimeout = \"4s\"\n"

// TestReplaceTenTimes kills the supervisor again and again while a service
// beats and writes: for the service nothing happens.
func TestReplaceTenTimes(t *testing.T) {
	v := up(t, "beat", beats, "")
	before := v.state("running")
	for range 10 {
		<-time.After(time.Duration(20+rand.IntN(300)) * time.Millisecond)
		v.replace()
		if s := v.service("the service", func(control.Service) bool { return true }); s.PID != before.PID || s.Restarts != 0 || s.Instance != 1 {
			t.Fatalf("the service is %+v, was %+v", s, before)
		}
	}
	after := v.service("beats that are judged", func(s control.Service) bool {
		return s.State == "running" && s.Heartbeat != nil && s.Heartbeat.State == "ok"
	})
	if !after.Ready || after.PID != before.PID {
		t.Errorf("the service is %+v, was %+v", after, before)
	}
	v.ask(control.Stop, true)
	if s := v.state("stopped"); s.PID != 0 || s.Restarts != 0 {
		t.Errorf("after the stop %+v", s)
	}
	checkLines(t, after.Output.File)
}

// checkLines: every line once and in order, up to the last.
func checkLines(t *testing.T, path string) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	next, last := 1, 0
	for _, m := range regexp.MustCompile(`(?m)\b(line|last) (\d+)$`).FindAllStringSubmatch(string(b), -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "last" {
			last = n
			continue
		}
		if n != next {
			t.Errorf("line %d follows line %d", n, next-1)
		}
		next = n + 1
	}
	if last == 0 || next != last+1 {
		t.Errorf("the last line kept is %d, the last written %d", next-1, last)
	}
	t.Logf("%d lines", last)
}

func TestReplaceDuringBackoff(t *testing.T) {
	v := up(t, "fail", "restart = { backoff = { min = \"3s\", max = \"3s\", jitter = 0.0 } }", "")
	before := v.service("backoff with a start planned", func(s control.Service) bool { return s.State == "backoff" && s.NextStart > 0 })
	v.replace()
	after := v.service("any", func(control.Service) bool { return true })
	if after.State != "backoff" || after.NextStart >= before.NextStart || after.Restarts != before.Restarts || after.Instance != before.Instance {
		t.Errorf("backoff was %+v, is %+v", before, after)
	}
	next := v.service("the next start", func(s control.Service) bool { return s.Instance > before.Instance })
	if next.Instance != before.Instance+1 {
		t.Errorf("instance %d followed %d", next.Instance, before.Instance)
	}
}

func TestReplaceDuringStop(t *testing.T) {
	v := up(t, "slow", "", "")
	s := v.state("running")
	v.service("its first words", func(s control.Service) bool { return s.Output.Lines > 0 }) // it handles TERM by then
	v.ask(control.Stop, false)
	waitFor(v.path("got-term"))
	v.replace()
	if got := v.state("stopping"); got.PID != s.PID || got.Desired != "down" {
		t.Errorf("after the replacement %+v", got)
	}
	touch(v.path("go"))
	if got := v.state("stopped"); got.Restarts != 0 || got.Instance != 1 || got.ExitCode == nil || *got.ExitCode != 0 {
		t.Errorf("stopped %+v", got)
	}
	if _, err := os.Stat(v.path("second-term")); err == nil {
		t.Error("the next supervisor sent TERM again")
	}
	v.ask(control.Start, true)
	if got := v.state("running"); got.Instance != 2 {
		t.Errorf("started again %+v", got)
	}
}

// TestReplaceDuringLateStop: the time that a service has to end goes on while
// supervisors come and go.
func TestReplaceDuringLateStop(t *testing.T) {
	v := up(t, "slow", "stop_timeout = \"2s\"", "")
	v.state("running")
	v.service("its first words", func(s control.Service) bool { return s.Output.Lines > 0 })
	begin := time.Now()
	v.ask(control.Stop, false)
	waitFor(v.path("got-term"))
	v.replace()
	v.replace()
	got := v.state("stopped")
	if took := time.Since(begin); got.ExitCode == nil || *got.ExitCode != 128+int(unix.SIGKILL) || took < 2*time.Second || took > 20*time.Second {
		t.Errorf("after %v stopped %+v", took, got)
	}
	if _, err := os.Stat(v.path("second-term")); err == nil {
		t.Error("the next supervisor sent TERM again")
	}
}

// TestNotify: what strangers say and what is no sd_notify is refused, counted
// and does no harm.
func TestNotify(t *testing.T) {
	v := up(t, "notify", beats, "")
	first := v.service("its process", func(s control.Service) bool { return s.State == "starting" && s.PID > 0 })
	socket := v.path("run", "notify", "s.sock")
	for n := range 3 {
		if err := tell(socket, "READY=1\nWATCHDOG=trigger\nMAINPID=1"); err != nil {
			t.Fatal(err)
		}
		s := v.service("refusal of a stranger", func(s control.Service) bool { return s.Refused > uint64(n) })
		if s.State != "starting" || s.PID != first.PID || s.Ready {
			t.Fatalf("after a stranger's words %+v", s)
		}
	}
	touch(v.path("rubbish"))
	s := v.service("its status", func(s control.Service) bool { return s.Status == "rubbish sent" })
	if s.Refused < 4 || s.State != "starting" || s.PID != first.PID {
		t.Errorf("after rubbish %+v", s)
	}
	touch(v.path("go"))
	if s := v.state("running"); !s.Ready || s.PID != first.PID {
		t.Errorf("ready %+v", s)
	}
}

func TestTrigger(t *testing.T) {
	v := up(t, "trigger", beats, "")
	first := v.state("running")
	touch(v.path("go"))
	s := v.service("the second instance", func(s control.Service) bool { return s.State == "running" && s.Instance == 2 })
	if s.PID == first.PID || s.Restarts != 1 || s.Cause != "hang" || !strings.Contains(s.Sentence, "trigger") || s.Incident == "" {
		t.Errorf("restarted %+v", s)
	}
}

// TestFullDisk: a state directory without a byte left is no reason not to
// supervise.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small file system in a namespace of its own")
	}
	v := up(t, "write", "", `mount -t tmpfs -o size=1m full "$STATE" || exit 96; dd if=/dev/zero of="$STATE/fill" bs=4k 2>/dev/null`)
	first := v.state("running")
	for n := range 2 {
		if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		first = v.service("another instance", func(s control.Service) bool { return s.State == "running" && s.Instance > first.Instance })
		if first.Restarts != uint64(n+1) {
			t.Errorf("restarts %+v", first)
		}
	}
	v.service("a word about the disk", func(s control.Service) bool {
		return strings.Contains(fmt.Sprint(s.Limitation), "bytes are free on its file system")
	})
	v.replace()
	if got := v.state("running"); got.PID != first.PID {
		t.Errorf("after the replacement %+v", got)
	}
}
