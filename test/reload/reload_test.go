package reload

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// TestReloadLeavesAlone: for services that have not changed nothing happens.
func TestReloadLeavesAlone(t *testing.T) {
	v := up(t, service(t, "a", "lines", beats)+service(t, "b", "lines", ""))
	a, b := v.running("a"), v.running("b")
	for range 10 {
		v.done()
		for name, before := range map[string]control.Service{"a": a, "b": b} {
			if s := v.running(name); s.PID != before.PID || s.Restarts != 0 || s.Instance != 1 {
				t.Fatalf("the service is %+v, was %+v", s, before)
			}
		}
	}
	if s := v.service("a", "beats", func(s control.Service) bool { return s.Heartbeat.State == "ok" }); s.State != "running" {
		t.Errorf("%+v", s)
	}
	v.must("stop", "a", "b")
	v.wholeFile(a)
	v.wholeFile(b)
}

func TestReloadChanges(t *testing.T) {
	v := up(t, service(t, "keep", "lines", "")+service(t, "change", "lines", "")+
		service(t, "remove", "stop", "stop_signal = \"USR2\"\nstop_timeout = \"30s\""))
	keep, change, remove := v.running("keep"), v.running("change"), v.running("remove")
	v.configure(service(t, "keep", "lines", "stop_signal = \"INT\"") + service(t, "change", "lines", "nice = 5") + service(t, "add", "lines", ""))
	v.done()
	if s := v.running("keep"); s.PID != keep.PID {
		t.Errorf("another stop_signal restarts: %+v", s)
	}
	if s := v.service("change", "restarted", func(s control.Service) bool { return s.State == "running" && s.Instance == 2 }); s.PID == change.PID || s.Restarts != 0 {
		t.Errorf("changed: %+v", s)
	}
	v.running("add")
	await(v, "the removed one to be forgotten", services, func(names string) bool { return names == "keep change add" || !strings.Contains(names, "remove") })
	if b, err := os.ReadFile(v.file("stopped-by")); err != nil || string(b) != "user defined signal 2" {
		t.Errorf("pid %d was stopped by %q, %v", remove.PID, b, err)
	}
	v.must("stop", "keep")
	if b, err := os.ReadFile(keep.Output.File); err != nil || !strings.Contains(string(b), "(interrupt)") {
		t.Errorf("the new stop_signal was not used: %v", err)
	}
}

// TestReloadRemovesDeaf: the former stop_timeout counts.
func TestReloadRemovesDeaf(t *testing.T) {
	keep := service(t, "keep", "lines", "")
	v := up(t, keep+service(t, "deaf", "deaf", "stop_timeout = \"200ms\""))
	v.running("deaf")
	v.configure(keep)
	begin := time.Now()
	v.done()
	await(v, "the removed one to be forgotten", services, func(names string) bool { return names == "keep" })
	if d := time.Since(begin); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestReloadBrokenConfiguration(t *testing.T) {
	good := service(t, "a", "lines", "")
	v := up(t, good)
	a := v.running("a")
	v.configure(good + "[service.b]\ncommand = 7\n")
	v.refused(fmt.Sprintf("vigil.toml:%d:", strings.Count(good, "\n")+2))
	if out, code := v.cli("reload"); code != 1 || !strings.Contains(out, "vigil.toml:") {
		t.Errorf("vigil reload: %d, %s", code, out)
	}
	// A crash does not take up what was refused.
	if i := v.crash(); i.Epoch != 2 {
		t.Errorf("%+v", i)
	}
	if s := v.running("a"); s.PID != a.PID || v.names() != "a" {
		t.Errorf("%+v, services %s", s, v.names())
	}
	// A good file that nobody has asked to be read is not read either.
	v.configure(good + service(t, "b", "lines", ""))
	v.crash()
	if names := v.names(); names != "a" {
		t.Errorf("services %s", names)
	}
	v.done()
	v.running("b")
	v.crash()
	if names := v.names(); names != "a b" {
		t.Errorf("services %s", names)
	}
}

// TestReloadWhileGettingReady: the pipe on which a service tells that it is
// ready outlives the supervisor.
func TestReloadWhileGettingReady(t *testing.T) {
	v := up(t, service(t, "a", "ready", "ready = { fd = 3 }\nstart_timeout = \"60s\""))
	a := v.service("a", "starting", func(s control.Service) bool { return s.State == "starting" && s.PID > 0 })
	v.done()
	v.crash()
	if err := os.WriteFile(v.file("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := v.service("a", "ready", func(s control.Service) bool { return s.State == "running" || s.Instance > 1 }); s.PID != a.PID || !s.Ready {
		t.Errorf("%+v, was %+v", s, a)
	}
}

// TestReloadRun: vigil run reads its command line again.
func TestReloadRun(t *testing.T) {
	v := prepared(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v.start("run", "--env", roleEnv+"=lines", "--", exe)
	name := ""
	await(v, "the service", services, func(names string) bool { name = names; return names != "" })
	a := v.running(name)
	v.done()
	if s := v.running(name); s.PID != a.PID {
		t.Errorf("%+v, was %+v", s, a)
	}
	v.install("two")
	v.done()
	if i := v.instance(); i.Version != "0.2.0" {
		t.Errorf("%+v", i)
	}
}

// TestReloadStorm: however many HUPs, the services do not notice.
func TestReloadStorm(t *testing.T) {
	v := up(t, service(t, "a", "lines", beats))
	a := v.running("a")
	for range 200 {
		v.done0()
	}
	if s := v.running("a"); s.PID != a.PID || s.Restarts != 0 {
		t.Errorf("%+v, was %+v", s, a)
	}
	v.done()
}
