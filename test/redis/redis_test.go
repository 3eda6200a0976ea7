package redis

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestCheckAcceptsTheExample(t *testing.T) {
	if out, err := exec.Command("vigil", "check", example+"/redis.toml").CombinedOutput(); err != nil {
		t.Errorf("vigil check: %v\n%s", err, out)
	}
}

// What makes a Redis hang, which lives on, and by which sign it is found out.
func TestHangs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command string // that never ends
		cause   snapshot.Cause
		proof   string // in the verdict
	}{
		// The main thread sleeps, as it would in a file system that does not answer.
		{"main thread", "DEBUG SLEEP 600", snapshot.CauseThreadStuck, "redis-server"},
		// It runs, and Redis answers everybody that it is busy.
		{"endless script", `EVAL "while true do end" 0`, snapshot.CauseProbe, "BUSY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := place(t)
			v := up(t, s)
			s.serves(t, "PING", "+PONG")
			s.serves(t, "SET first 1", "+OK")
			first := v.running(1)
			conn, err := s.send(tt.command)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begin := time.Now()
			second := v.running(2)
			t.Logf("hang to a good instance: %s", time.Since(begin).Round(10*time.Millisecond))
			if second.PID == first.PID || second.Cause != string(tt.cause) || !strings.Contains(second.Sentence, tt.proof) {
				t.Errorf("cause %s, sentence %q", second.Cause, second.Sentence)
			}
			s.serves(t, "GET first", "$1")
			i := v.incidents(1)[0]
			if i.Cause != tt.cause || i.PID != first.PID {
				t.Errorf("incident: %+v", i)
			}
			t.Logf("incident: %s", i.Sentence)
		})
	}
}

// An operator stops it, longer than every limit, and lets it go on.
func TestStoppedByAnOperator(t *testing.T) {
	t.Parallel()
	s := place(t)
	v := up(t, s)
	first := v.running(1)
	if err := unix.Kill(first.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const longer = 15 * time.Second // than five failed pings, and than a thread may stand still
	<-time.After(longer)
	if err := unix.Kill(first.PID, unix.SIGCONT); err != nil {
		t.Fatalf("cannot continue it: %v", err)
	}
	s.serves(t, "PING", "+PONG")
	if again := v.running(1); again.PID != first.PID || again.Restarts != 0 {
		t.Errorf("after the stop: %+v", again)
	}
	for _, e := range v.events() {
		if e.Kind == "verdict" {
			t.Errorf("verdict: %s", e.Text)
		}
	}
}

// Alone it is left alone.
func TestIdle(t *testing.T) {
	t.Parallel()
	s := place(t)
	v := up(t, s)
	first := v.running(1)
	<-time.After(30 * time.Second)
	if again := v.running(1); again.PID != first.PID || again.Restarts != 0 {
		t.Errorf("after a while: %+v", again)
	}
	for _, e := range v.events() {
		if e.Kind == "verdict" || e.Kind == "suspect" {
			t.Errorf("%s: %s", e.Kind, e.Text)
		}
	}
}

// The supervisor is killed while the program of a probe waits for its answer. No
// program is left behind, the service does not notice, and is watched again.
func TestSupervisorIsKilled(t *testing.T) {
	t.Parallel()
	s := place(t)
	v := up(t, s)
	first := v.running(1)
	conn, err := s.send("DEBUG SLEEP 4") // less than its thread may stand still
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var waiting []int
	eventually(t, mostReply, "a probe that waits", func() error {
		if waiting = s.probes(); len(waiting) == 0 {
			return errors.New("none does")
		}
		return nil
	})
	old := v.supervisor()
	if err := unix.Kill(old, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, mostVerdict, "another supervisor", func() error {
		if now, err := v.findSupervisor(); err != nil || now == old {
			return fmt.Errorf("it is process %d: %v", now, err)
		}
		return nil
	})
	if again := v.running(1); again.PID != first.PID || again.Restarts != 0 {
		t.Errorf("after the supervisor was killed: %+v", again)
	}
	for _, pid := range s.probes() {
		if slices.Contains(waiting, pid) {
			t.Errorf("process %d of a probe has outlived its supervisor", pid)
		}
	}
	if conn, err = s.send("DEBUG SLEEP 600"); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if second := v.running(2); second.Cause != string(snapshot.CauseThreadStuck) {
		t.Errorf("after the hang: cause %s, sentence %q", second.Cause, second.Sentence)
	}
}
