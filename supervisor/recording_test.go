package supervisor_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// TestSamplesOutliveTheSupervisor: what was recorded under a supervisor that was
// killed is in the incident that its successor keeps.
func TestSamplesOutliveTheSupervisor(t *testing.T) {
	v := upWedge(t, wedgeKeys)
	first := v.service("ready", func(s control.Service) bool { return s.Ready && s.Uptime > 2.5 })
	killed := time.Now()
	v.replace()
	if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	full := v.incidentOfFirst()
	b, err := os.ReadFile(v.path("state", "incidents", full.Incident.ID, snapshot.FileSamples))
	if err != nil {
		t.Fatal(err)
	}
	var s snapshot.Samples
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	n, before := len(s.Boot), false
	for i := range s.State {
		before = before || s.State[i] == "running" && s.Time[i].Before(killed)
	}
	if len(s.Signs) == 0 || s.Signs[0].Kind != "heartbeat" || len(s.Signs[0].Marks) != n || !strings.Contains(s.Signs[0].Marks, "o") {
		t.Errorf("signs of %d samples: %+v", n, s.Signs)
	}
	if len(s.Pressured) != n || len(s.PressureIO) != n || s.PressureOf == "" {
		t.Errorf("pressure of %d samples: %v", n, s.Pressured)
	}
	if n < 2 || len(s.CPU) != n || len(s.State) != n || len(s.Signals) != n || !before {
		t.Errorf("%d samples: %s", n, b)
	}
}
