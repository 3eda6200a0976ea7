package supervisor_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/snapshot"
)

const tracedKeys = wedgeKeys + "capture.trace_exit = true\n"

// tracedNow waits until a permanent tracer stands beside that instance.
func (v *vigil) tracedNow(instance string) {
	v.t.Helper()
	await(v, "the tracer of instance "+instance, eventsOf, func(list []control.Event) bool {
		for _, e := range list {
			if e.Kind == "capture" && strings.HasSuffix(e.Text, "stands beside instance "+instance) {
				return true
			}
		}
		return false
	})
}

func eventsOf(ctx context.Context, c *client.Client) (list []control.Event, err error) {
	err = c.Events(ctx, false, func(e control.Event) error { list = append(list, e); return nil })
	return list, err
}

// noTraces checks that no directory of a tracer is left.
func (v *vigil) noTraces() {
	v.t.Helper()
	await(v, "the directories of tracers to be gone", func(context.Context, *client.Client) ([]string, error) {
		return filepath.Glob(v.path("state", "trace", "*"))
	}, func(left []string) bool { return len(left) == 0 })
}

// TestTraceKilled: who is killed by somebody, with no word, leaves every stack.
func TestTraceKilled(t *testing.T) {
	v := upWedge(t, tracedKeys)
	s := v.service("ready", func(s control.Service) bool { return s.Ready })
	v.tracedNow("1")
	v.replace()
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	full := v.incidentOfFirst()
	i := full.Incident
	if i.Cause != snapshot.CauseKilled || i.Exit == nil || i.Exit.Signal != "KILL" || i.Freeze == nil || i.Freeze.Method != "trace" || i.Status != snapshot.StatusComplete {
		t.Errorf("incident %+v", i)
	}
	if full.Stacks == nil || full.Stacks.Unwound == 0 || full.Process == nil || len(full.Process.Threads) == 0 {
		t.Errorf("no stacks, or no process: %v", full.Problems)
	}
	v.tracedNow("2")
	v.ask(control.Stop, true)
	v.noTraces()
	if list, _ := filepath.Glob(v.path("state", "incidents", "*")); len(list) != 1 {
		t.Errorf("%d incidents: a stop that was asked for makes none", len(list))
	}
}

// TestTraceHang: the tracer takes the stacks of a service that hangs, at its end,
// and is no excuse for it to be silent.
func TestTraceHang(t *testing.T) {
	v := upWedge(t, tracedKeys)
	v.service("ready", func(s control.Service) bool { return s.Ready })
	v.tracedNow("1")
	v.call("/deadlock")
	full := v.incidentOfFirst()
	i := full.Incident
	if i.Cause != snapshot.CauseHang || i.Freeze == nil || i.Freeze.Method != "trace" || full.Stacks == nil || len(full.Stacks.Deadlocks) == 0 {
		t.Errorf("incident %+v, stacks %+v", i, full.Stacks)
	}
	v.noMemory(i.ID)
}

// noMemory checks that the memory is not kept.
func (v *vigil) noMemory(id string) {
	v.t.Helper()
	if _, err := os.Stat(v.path("state", "incidents", id, snapshot.FileCore)); err == nil {
		v.t.Error("the memory of the service was kept")
	}
}

// TestTraceCrash: a panic, without a core of the kernel.
func TestTraceCrash(t *testing.T) {
	v := upWedge(t, tracedKeys)
	v.service("ready", func(s control.Service) bool { return s.Ready })
	v.tracedNow("1")
	v.call("/crash")
	full := v.incidentOfFirst()
	i := full.Incident
	if i.Exit == nil || i.Exit.Code != 2 || i.Exit.CoreDumped || !strings.Contains(i.Sentence, "panic: assignment to entry in nil map") {
		t.Errorf("incident %+v, exit %+v", i, i.Exit)
	}
	if full.Stacks == nil || full.Stacks.Unwound == 0 {
		t.Errorf("no stacks: %v", i.Missing)
	}
}

// TestSnapshot: a service that runs is looked at and runs on, traced or not.
func TestSnapshot(t *testing.T) {
	for name, keys := range map[string]string{"plain": wedgeKeys, "traced": tracedKeys} {
		t.Run(name, func(t *testing.T) {
			v := upWedge(t, keys)
			before := v.service("ready", func(s control.Service) bool { return s.Ready })
			if name == "traced" {
				v.tracedNow("1")
			}
			results, err := look(v, func(ctx context.Context, c *client.Client) ([]control.SnapshotResult, error) {
				return c.Snapshot(ctx, control.Snapshot{Services: []string{before.Service}})
			})
			if err != nil || len(results) != 1 {
				t.Fatalf("%+v, %v", results, err)
			}
			r := results[0]
			if r.Error != "" || r.Incident == "" || r.Status != string(snapshot.StatusComplete) || r.PID != before.PID || r.Pause <= 0 {
				t.Errorf("%+v", r)
			}
			after := v.service("running", func(s control.Service) bool { return s.State == "running" })
			if after.PID != before.PID || after.Incident != r.Incident {
				t.Errorf("before %+v, after %+v", before, after)
			}
			if _, err := look(v, func(ctx context.Context, c *client.Client) ([]control.SnapshotResult, error) {
				return c.Snapshot(ctx, control.Snapshot{Services: []string{"nobody"}})
			}); err == nil {
				t.Error("a snapshot of nobody")
			}
			v.ask(control.Stop, true)
			results, err = look(v, func(ctx context.Context, c *client.Client) ([]control.SnapshotResult, error) {
				return c.Snapshot(ctx, control.Snapshot{Services: []string{before.Service}})
			})
			if err != nil || len(results) != 1 || !strings.Contains(results[0].Error, "it is stopped") {
				t.Errorf("of a stopped one: %+v, %v", results, err)
			}
		})
	}
}
