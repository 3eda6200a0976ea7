package supervisor_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// event waits for an event of that kind, whose text holds words.
func (v *vigil) event(kind, words string) control.Event {
	v.t.Helper()
	var found control.Event
	await(v, "event "+kind+" "+words, func(ctx context.Context, c *client.Client) ([]control.Event, error) {
		var all []control.Event
		err := c.Events(ctx, false, func(e control.Event) error { all = append(all, e); return nil })
		return all, err
	}, func(all []control.Event) bool {
		for _, e := range all {
			if e.Kind == kind && strings.Contains(e.Text, words) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// TestStall: a service that is late and comes back has lost nothing, and what it
// looked like meanwhile is kept.
func TestStall(t *testing.T) {
	v := up(t, "pausing", "ready.notify = true\nheartbeat = { timeout = \"60s\", suspect = \"300ms\" }\n", "")
	first := v.service("both signs", func(s control.Service) bool { return len(s.Signs) == 2 })
	touch(v.path("hold"))
	late := v.service("suspect", func(s control.Service) bool {
		return s.State == "suspect" && len(s.Signs) == 2 && s.Signs[0].State == "suspect" && s.Signs[1].State == "suspect"
	})
	if late.PID != first.PID || late.Signs[0].Age < 0.3 || late.Signs[0].Limit != 60 {
		t.Errorf("%+v", late)
	}
	if err := os.Remove(v.path("hold")); err != nil {
		t.Fatal(err)
	}
	back := v.state("running")
	if back.PID != first.PID || back.Restarts != 0 {
		t.Errorf("it was restarted: %+v", back)
	}
	e := v.event("stall", "recovered: ")
	id, _, _ := strings.Cut(e.Text, " ")
	st, err := store.OpenRead(v.path("state", "incidents"))
	if err != nil {
		t.Fatal(err)
	}
	full, err := st.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	if i := full.Incident; i.Cause != snapshot.CauseStall || i.Status != snapshot.StatusComplete || full.Process == nil || len(full.Process.Threads) == 0 {
		t.Errorf("%+v, missing %v, problems %v", i, i.Missing, full.Problems)
	}
}

// TestDryRun: what would have been done is said, and nothing is done.
func TestDryRun(t *testing.T) {
	v := up(t, "pausing", "ready.notify = true\ndry_run = true\nheartbeat.timeout = \"300ms\"\n", "")
	first := v.service("ready", func(s control.Service) bool { return s.Ready && len(s.Signs) == 2 })
	touch(v.path("hold"))
	v.event("alert", "dry run: would capture and restart it now (hang: no beat")
	if err := os.Remove(v.path("hold")); err != nil {
		t.Fatal(err)
	}
	if s := v.state("running"); s.PID != first.PID || s.Restarts != 0 {
		t.Errorf("something was done: %+v", s)
	}
}

// TestNamedBeat: of two signs of life one stops, which is named.
func TestNamedBeat(t *testing.T) {
	v := up(t, "named", "ready.notify = true\nheartbeat.timeout = \"500ms\"\n", "")
	v.service("both signs", func(s control.Service) bool { return len(s.Signs) == 2 })
	touch(v.path("hold"))
	v.event("verdict", "hang: no beat of flusher for ")
	v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && s.Restarts == 1 })
}
