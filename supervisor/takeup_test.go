package supervisor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// gates holds vigil-capture up at chosen places: a gate is a named pipe, at
// which the helper waits until the test opens it.
type gates struct {
	t   *testing.T
	dir string
}

// Places of gates, as the script has them.
const (
	beforeFreeze  = "before-freeze"
	afterFreeze   = "after-freeze"
	beforeAnalyze = "before-analyze"
	afterAnalyze  = "after-analyze"
)

const gateScript = `#!/bin/sh
dir=%q
gate() {
	[ -p "$dir/$1" ] || return 0
	: >"$dir/at-$1"
	read -r _ <"$dir/$1"
}
gate "before-$1"
%q "$@"
code=$?
gate "after-$1"
exit $code
`

func newGates(t *testing.T, names ...string) gates {
	t.Helper()
	g := gates{t, t.TempDir()}
	for _, name := range names {
		if err := unix.Mkfifo(filepath.Join(g.dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Whoever waits at the end is let go.
	t.Cleanup(func() {
		for _, name := range names {
			if f, err := os.OpenFile(filepath.Join(g.dir, name), os.O_RDWR|unix.O_NONBLOCK, 0); err == nil {
				_, _ = f.WriteString("\n")
				t.Cleanup(func() { f.Close() })
			}
		}
	})
	return g
}

func (g gates) script() string {
	real := filepath.Join(filepath.Dir(os.Getenv(binaryEnv)), "helper", "vigil-capture")
	path := filepath.Join(g.dir, "vigil-capture")
	if err := os.WriteFile(path, fmt.Appendf(nil, gateScript, g.dir, real), 0o700); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// reached waits until the helper stands at the gate.
func (g gates) reached(name string) { g.t.Helper(); awaitFile(g.t, filepath.Join(g.dir, "at-"+name)) }

func (g gates) open(name string) {
	g.t.Helper()
	f, err := os.OpenFile(filepath.Join(g.dir, name), os.O_RDWR, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := f.WriteString("\n"); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { f.Close() }) // a pipe without a descriptor forgets
}

func awaitFile(t *testing.T, pattern string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		if list, _ := filepath.Glob(pattern); len(list) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("there is no %s", pattern)
		}
	}
}

const patientKeys = wedgeKeys + "capture.budget = \"30s\"\n"

func upGated(t *testing.T, g gates) *vigil {
	t.Helper()
	command := []string{filepath.Join(filepath.Dir(os.Getenv(binaryEnv)), "wedge"), "-listen", "127.0.0.1:0", "-addr-file", "address"}
	v := upCommand(t, command, patientKeys, "", g.script())
	v.service("ready", func(s control.Service) bool { return s.Ready })
	return v
}

// wholeIncident waits for the incident of the first instance and checks that it
// lacks nothing, is the only one, and that nothing is left beside it.
func (v *vigil) wholeIncident() store.Full {
	v.t.Helper()
	full := v.incidentOfFirst()
	i := full.Incident
	if i.Status != snapshot.StatusComplete || len(i.Missing) > 0 || full.Stacks == nil || full.Stacks.Unwound == 0 {
		v.t.Errorf("incident %s is %s, missing %q, problems %q", i.ID, i.Status, i.Missing, full.Problems)
	}
	kinds := map[string]bool{}
	for _, m := range full.Timeline {
		kinds[m.Kind] = true
	}
	if !kinds["start"] {
		v.t.Errorf("what was before the replacement is not told: %v", full.Timeline)
	}
	s := v.service("any", func(control.Service) bool { return true })
	if s.Instance != 2 || s.Restarts != 1 {
		v.t.Errorf("restarted %d times, instance %d", s.Restarts, s.Instance)
	}
	v.nothingLeft(i.ID)
	return full
}

func (v *vigil) nothingLeft(id string) {
	v.t.Helper()
	taken := strings.Count(v.out.String(), "is taken up")
	v.replace() // it would find a note that was left
	if n := strings.Count(v.out.String(), "is taken up"); n != taken {
		v.t.Errorf("the job's note was left: %s", v.out.String())
	}
	list, err := os.ReadDir(v.path("state", "incidents"))
	if err != nil || len(list) != 1 {
		v.t.Errorf("incidents %v, %v", list, err)
	}
	allowed := map[string]bool{}
	for _, name := range []string{snapshot.FileIncident, snapshot.FileStacks, snapshot.FileProcess, snapshot.FileTimeline, snapshot.FileOutput, snapshot.FileCapture, snapshot.FileSuspect, snapshot.FileSamples, snapshot.FileWorld} {
		allowed[name] = true
	}
	files, _ := os.ReadDir(v.path("state", "incidents", id))
	for _, f := range files {
		if !allowed[f.Name()] {
			v.t.Errorf("%s is left in the incident", f.Name())
		}
	}
	if cores, _ := filepath.Glob(v.path("core*")); len(cores) > 0 {
		v.t.Errorf("%v are left", cores)
	}
	for _, pid := range v.helpers() {
		v.t.Errorf("helper %d is left", pid)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// helpers are the runs of vigil-capture of this vigil.
func (v *vigil) helpers() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(filepath.Join(d, "environ"))
		mark := "VIGIL_INSTANCE=" + filepath.Base(v.dir) + "/"
		if err == nil && (strings.Contains(string(env), mark+"capture:") || strings.Contains(string(env), mark+"analyze:")) {
			pid, _ := strconv.Atoi(filepath.Base(d))
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestReplaceDuringCapture kills the supervisor at each stage of an incident.
func TestReplaceDuringCapture(t *testing.T) {
	for _, gate := range []string{beforeFreeze, afterFreeze, beforeAnalyze, afterAnalyze} {
		t.Run(gate, func(t *testing.T) {
			g := newGates(t, gate)
			v := upGated(t, g)
			first := v.state("running")
			v.call("/deadlock")
			g.reached(gate)
			v.replace()
			v.replace()
			if gate == beforeFreeze {
				if s := v.state("freezing"); s.PID != first.PID {
					t.Errorf("pid %d is frozen, not %d", s.PID, first.PID)
				}
			} else {
				v.service("the next instance, before the evidence is complete", func(s control.Service) bool { return s.Instance == 2 && s.Ready })
			}
			g.open(gate)
			full := v.wholeIncident()
			if full.Incident.Cause != snapshot.CauseHang || len(full.Stacks.Deadlocks) == 0 || full.Incident.PID != first.PID || len(full.Output) == 0 {
				t.Errorf("incident %+v", full.Incident)
			}
		})
	}
}

// TestReplaceDuringCrash: the same for the analysis of the kernel's core.
func TestReplaceDuringCrash(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || strings.ContainsAny(string(pattern[:1]), "|@/") {
		t.Skip("this machine's cores go elsewhere")
	}
	for _, gate := range []string{beforeAnalyze, afterAnalyze} {
		t.Run(gate, func(t *testing.T) {
			g := newGates(t, gate)
			v := upGated(t, g)
			v.call("/crash")
			g.reached(gate)
			v.replace()
			g.open(gate)
			full := v.wholeIncident()
			if full.Incident.Cause != snapshot.CauseCrash || !strings.Contains(full.Incident.Sentence, "panic: assignment to entry in nil map") {
				t.Errorf("incident %+v", full.Incident)
			}
		})
	}
}

// TestReplaceWhileCompleting kills between the last files and the manifest, or
// a moment later.
func TestReplaceWhileCompleting(t *testing.T) {
	v := upGated(t, newGates(t))
	v.call("/deadlock")
	awaitFile(t, v.path("state", "incidents", "*", snapshot.FileTimeline))
	v.replace()
	v.wholeIncident()
}

// TestReplaceAnywhere kills at any moment of an incident.
func TestReplaceAnywhere(t *testing.T) {
	v := upGated(t, newGates(t))
	v.call("/deadlock")
	after := time.Duration(900+rand.IntN(900)) * time.Millisecond
	t.Logf("killed %v after the hang began", after)
	<-time.After(after)
	v.replace()
	v.wholeIncident()
}
