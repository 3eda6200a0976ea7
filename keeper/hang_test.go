package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// hangRig is a keeper whose supervisors may be silent for a second, and whose
// vigil-capture is a shell script.
func hangRig(t *testing.T, script string) *rig {
	t.Helper()
	t.Setenv(silenceEnv, "1s")
	helper := ""
	if script != "" {
		helper = filepath.Join(t.TempDir(), "vigil-capture")
		if err := os.WriteFile(helper, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(helperEnv, helper)
	return newRig(t, 0)
}

// hangs are the directories that wait.
func (r *rig) hangs() []string {
	r.t.Helper()
	list, err := filepath.Glob(filepath.Join(r.dir, "state", protocol.HangDir, "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func readHang(t *testing.T, dir string) protocol.Hang {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, protocol.HangFile))
	if err != nil {
		t.Fatal(err)
	}
	h, err := protocol.DecodeHang(b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// dead waits until a pid is no more.
func dead(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for unix.Kill(pid, 0) == nil {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("pid %d lives", pid)
		}
	}
}

const argsScript = `while [ $# -gt 0 ]; do case $1 in --dir) dir=$2;; --pid) pid=$2;; esac; shift; done
`

// TestSilenceIsCaptured: the helper gets the silent supervisor while it lives.
func TestSilenceIsCaptured(t *testing.T) {
	r := hangRig(t, argsScript+`kill -0 "$pid" && echo "$pid" >"$dir/seen"; echo a word >&2`)
	s, _ := r.charge()
	old := s.pid
	r.charge()
	list := r.hangs()
	if len(list) != 1 {
		t.Fatalf("captures %v", list)
	}
	seen, err := os.ReadFile(filepath.Join(list[0], "seen"))
	if err != nil || strings.TrimSpace(string(seen)) != strconv.Itoa(old) {
		t.Errorf("the helper saw %q, %v", seen, err)
	}
	if words, err := os.ReadFile(filepath.Join(list[0], protocol.HangWords)); err != nil || string(words) != "a word\n" {
		t.Errorf("its words are %q, %v", words, err)
	}
	h := readHang(t, list[0])
	if h.PID != old || h.Ticks == 0 || h.Epoch != 1 || h.Silent < time.Second || h.Uptime < h.Silent || h.Missing != "" {
		t.Errorf("report %+v", h)
	}
}

// TestSilenceWithoutHelper: then the report says so.
func TestSilenceWithoutHelper(t *testing.T) {
	r := hangRig(t, "")
	s, _ := r.charge()
	old := s.pid
	r.charge()
	if list := r.hangs(); len(list) != 1 || readHang(t, list[0]).PID != old || readHang(t, list[0]).Missing == "" {
		t.Errorf("captures %v", list)
	}
}

// TestSilenceAgainAndAgain: captures that nobody takes do not pile up.
func TestSilenceAgainAndAgain(t *testing.T) {
	r := hangRig(t, "exit 1")
	r.charge()
	for range protocol.MaxHangs + 2 {
		r.charge()
	}
	if list := r.hangs(); len(list) != protocol.MaxHangs {
		t.Errorf("captures %v", list)
	}
}

// TestKeeperServesDuringCapture: a helper that hangs holds nothing up, and is
// ended with the supervisor.
func TestKeeperServesDuringCapture(t *testing.T) {
	r := hangRig(t, argsScript+`echo $$ >"$dir/pid.new"; mv "$dir/pid.new" "$dir/pid"; exec sleep 1000`)
	s, _ := r.charge()
	st := shell("web", "echo up; exec sleep 1000")
	st.Again = true
	c := s.start(st)
	if got := c.line(t); got != "up" {
		t.Fatal(got)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	var helper int
	for helper == 0 {
		if b, err := os.ReadFile(filepath.Join(append(r.hangs(), "none")[0], "pid")); err == nil {
			helper, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the helper does not run")
		}
	}
	begin := clock.Boot()
	if err := unix.Kill(c.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e := s.event(protocol.EventRestarted)
	if took := clock.Boot() - begin; e.Inst != 1 || e.Started == nil || took > hangPatience/2 {
		t.Errorf("restarted by %+v after %v", e, took)
	}
	old := s.pid
	next, rec := r.charge()
	dead(t, helper)
	dead(t, old)
	if len(rec.children) == 0 {
		t.Error("the service is gone")
	}
	_ = next
}

// TestDeathDuringCapture: the supervisor that ends by itself while it is
// captured has its successor when the helper is through.
func TestDeathDuringCapture(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	r := hangRig(t, argsScript+fmt.Sprintf("kill -9 $pid; read -r _ <%q; echo done >$dir/done", gate))
	r.charge()
	f, err := os.OpenFile(gate, os.O_WRONLY, 0) // returns when the helper reads
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	r.charge()
	if list := r.hangs(); len(list) != 1 {
		t.Errorf("captures %v", list)
	} else if _, err := os.Stat(filepath.Join(list[0], "done")); err != nil {
		t.Errorf("the successor came before the helper was through: %v", err)
	}
}
