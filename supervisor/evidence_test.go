package supervisor_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"context"
	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/binaries"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"os/exec"
	"path/filepath"
)

const wedgeKeys = `ready.notify = true
heartbeat.timeout = "1s"
`

// call asks the example service for something; it may die of it.
func (v *vigil) call(path string) {
	v.t.Helper()
	address, err := os.ReadFile(v.path("address"))
	if err != nil {
		v.t.Fatal(err)
	}
	if resp, err := http.Get("http://" + strings.TrimSpace(string(address)) + path); err == nil {
		resp.Body.Close()
	}
}

// incident waits for the service's next instance and for the incident of the
// former one.
func (v *vigil) incidentOfFirst() store.Full {
	v.t.Helper()
	s := v.service("the second instance and an incident", func(s control.Service) bool {
		return s.Instance == 2 && s.Ready && s.Incident != ""
	})
	st, err := store.OpenRead(v.path("state", "incidents"))
	if err != nil {
		v.t.Fatal(err)
	}
	full, err := st.Load(s.Incident)
	if err != nil {
		v.t.Fatal(err)
	}
	return full
}

// TestHang: a deadlocked Go service is captured before it is restarted.
func TestHang(t *testing.T) {
	v := upWedge(t, wedgeKeys)
	v.service("ready", func(s control.Service) bool { return s.Ready })
	v.call("/deadlock")
	full := v.incidentOfFirst()
	i := full.Incident
	if i.Cause != snapshot.CauseHang || i.Instance != 1 || i.Status != snapshot.StatusComplete || i.Freeze == nil || i.Freeze.Bytes == 0 {
		t.Errorf("incident %+v", i)
	}
	if full.Stacks == nil || len(full.Stacks.Deadlocks) == 0 || !strings.Contains(i.Sentence, "deadlocked on sync.Mutex") {
		t.Errorf("no deadlock in %q, %+v", i.Sentence, full.Stacks)
	}
	if full.Process == nil || len(full.Process.Threads) == 0 || len(full.Timeline) == 0 || len(full.Output) == 0 {
		t.Errorf("process, timeline or output is missing: %v", full.Problems)
	}
	if _, err := os.Stat(v.path("state", "incidents", i.ID, snapshot.FileSuspect)); err != nil {
		t.Errorf("what was seen at the suspicion is not there: %v", err)
	}
	if _, err := os.Stat(v.path("state", "incidents", i.ID, snapshot.FileCore)); err == nil {
		t.Error("the memory of the service was kept")
	}
}

// TestCrash: a panic of a Go service leaves a core, which is read and removed.
func TestCrash(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	v := upWedge(t, wedgeKeys)
	v.service("ready", func(s control.Service) bool { return s.Ready })
	v.call("/crash")
	full := v.incidentOfFirst()
	i := full.Incident
	if i.Cause != snapshot.CauseCrash || i.Exit == nil || i.Exit.Signal != "ABRT" || !strings.Contains(i.Sentence, "panic: assignment to entry in nil map") {
		t.Errorf("incident %+v, exit %+v", i, i.Exit)
	}
	if !strings.Contains(string(full.Output), "goroutine ") {
		t.Errorf("no traceback in the last output: %q", full.Output)
	}
	if strings.ContainsAny(string(pattern[:1]), "|@/") {
		if full.Stacks == nil && len(i.Missing) == 0 {
			t.Error("there are no stacks, and nothing says why")
		}
		return // the machine's cores go elsewhere; that this is said has been seen
	}
	if full.Stacks == nil || full.Stacks.Unwound == 0 {
		t.Errorf("no stacks from the core: %v", i.Missing)
	}
	if list, err := os.ReadDir(v.dir); err == nil {
		for _, e := range list {
			if strings.HasPrefix(e.Name(), "core") {
				t.Errorf("%s is left in the working directory", e.Name())
			}
		}
	}
}

// TestReplacedExecutable: a deployment replaces the file of a program that runs.
// When it hangs later, its frames have the names of what ran, and its variables.
func TestReplacedExecutable(t *testing.T) {
	bin := filepath.Dir(os.Getenv(binaryEnv))
	dir := t.TempDir()
	program, other := filepath.Join(dir, "bank"), filepath.Join(dir, "other")
	text, err := os.ReadFile(filepath.Join(bin, "wedge"))
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", other, "../examples/wedge").CombinedOutput(); err != nil {
		t.Fatalf("cannot build another one: %v\n%s", err, out)
	}
	v := upCommand(t, []string{program, "-listen", "127.0.0.1:0", "-addr-file", "address"}, wedgeKeys, "", filepath.Join(bin, "helper", "vigil-capture"))
	s := v.service("ready", func(s control.Service) bool { return s.Ready })
	id, err := binaries.Identify(program)
	if err != nil {
		t.Fatal(err)
	}
	kept := binaries.New(v.path("state", "binaries"), binaries.Limits{})
	await(v, "the executable in the store", func(context.Context, *client.Client) (string, error) { return kept.Find(id) }, func(path string) bool { return path != "" })
	if err := os.Rename(other, program); err != nil {
		t.Fatal(err)
	}
	v.call("/deadlock")
	full := v.incidentOfFirst()
	if full.Incident.PID != s.PID || full.Stacks == nil || len(full.Stacks.Deadlocks) == 0 || !strings.Contains(full.Incident.Sentence, "main.payInWrongOrder") {
		t.Errorf("%q, missing %q", full.Incident.Sentence, full.Incident.Missing)
	}
	for _, m := range full.Incident.Missing {
		if strings.Contains(m, "executable") {
			t.Errorf("missing: %s", m)
		}
	}
}

// TestSecrets: whatever a service has in its environment and command, writes to its
// output or says of itself, no file of the incident has the secret in it.
func TestSecrets(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("ready.notify = true\nenvironment = { %s = \"secretive\", API_TOKEN = \"hunterhunter\", DB = \"postgres://me:hunterhunter@db/shop\" }\n", roleEnv)
	v := upCommand(t, []string{exe, "--password=hunterhunter", "-token", "hunterhunter"}, more, "", filepath.Join(filepath.Dir(os.Getenv(binaryEnv)), "helper", "vigil-capture"))
	v.service("ready, and all of its output read", func(s control.Service) bool { return s.Ready && s.Output.Lines >= 8 })
	if _, err := look(v, func(ctx context.Context, c *client.Client) ([]control.SnapshotResult, error) {
		return c.Snapshot(ctx, control.Snapshot{Services: []string{"s"}})
	}); err != nil {
		t.Fatal(err)
	}
	touch(v.path("go"))
	v.service("the second instance and an incident of the first", func(s control.Service) bool { return s.Instance == 2 && s.Incident != "" })
	dirs := await(v, "two incidents", func(context.Context, *client.Client) ([]string, error) {
		return filepath.Glob(v.path("state", "incidents", "2*", "incident.json"))
	}, func(found []string) bool { return len(found) == 2 })
	masked := false
	for _, d := range dirs {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(d), "*"))
		if err != nil || len(files) < 3 {
			t.Fatalf("files %v, %v", files, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if i := strings.Index(string(text), "hunterhunter"); i >= 0 {
				t.Errorf("%s has it: %q", f, text[max(0, i-60):min(len(text), i+30)])
			}
			masked = masked || filepath.Base(f) == "incident.json" && strings.Contains(string(text), `"output"`)
		}
	}
	if !masked {
		t.Error("the report does not say that output was masked")
	}
}
