package supervisor_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor"
)

func (v *vigil) instance() control.Instance {
	v.t.Helper()
	return await(v, "a supervisor", func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) }, func(control.Instance) bool { return true })
}

// ownIncident waits for the incident of the supervisor that was in charge.
func (v *vigil) ownIncident(old control.Instance) store.Full {
	v.t.Helper()
	await(v, "another supervisor", func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) },
		func(i control.Instance) bool { return i.Supervisor != old.Supervisor && i.KeeperPID == old.KeeperPID })
	awaitFile(v.t, v.path("state", "incidents", "*_vigil*", snapshot.FileIncident))
	st, err := store.OpenRead(v.path("state", "incidents"))
	if err != nil {
		v.t.Fatal(err)
	}
	full, err := st.Load(store.Last)
	if err != nil {
		v.t.Fatal(err)
	}
	return full
}

// checkOwnHang: the service ran on, the incident is whole, nothing is left.
func (v *vigil) checkOwnHang(old control.Instance, before control.Service) store.Full {
	v.t.Helper()
	full := v.ownIncident(old)
	i := full.Incident
	if i.Service != supervisor.OwnName || i.Cause != snapshot.CauseHang || i.PID != old.Supervisor || i.Status != snapshot.StatusComplete ||
		!strings.HasPrefix(i.Sentence, "hang: supervisor pid ") || !strings.Contains(i.Sentence, "gave no sign of life for ") || !strings.Contains(i.Sentence, "; its loop is in ") {
		v.t.Errorf("incident %+v", i)
	}
	if !hasFunction(full.Stacks, "supervisor.(*Supervisor).loop") {
		v.t.Errorf("the loop is not in %+v", full.Stacks)
	}
	s := v.service("any", func(control.Service) bool { return true })
	if s.PID != before.PID || s.Restarts != 0 || s.State != "running" {
		v.t.Errorf("the service was %+v, is %+v", before, s)
	}
	if left, err := os.ReadDir(v.path("state", protocol.HangDir)); err != nil || len(left) != 0 {
		v.t.Errorf("%v are left, %v", left, err)
	}
	if _, err := os.Stat(v.path("state", "incidents", i.ID, snapshot.FileCore)); err == nil {
		v.t.Error("the memory of the supervisor was kept")
	}
	return full
}

func hasFunction(st *snapshot.Stacks, name string) bool {
	if st == nil {
		return false
	}
	for _, g := range st.Groups {
		for _, f := range g.Frames {
			if strings.Contains(f.Function, name) {
				return true
			}
		}
	}
	return false
}

func upWithCapture(t *testing.T) *vigil {
	t.Helper()
	t.Setenv(flagsEnv, "--supervisor-timeout=5s")
	bin := filepath.Dir(os.Getenv(binaryEnv))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := filepath.Join(bin, "helper", "vigil-capture")
	if override := os.Getenv(helperOverride); override != "" {
		helper = override
	}
	return upCommand(t, []string{exe}, "environment = { "+roleEnv+" = \"beat\" }\n"+beats, "", helper)
}

const helperOverride = "SUPERVISOR_TEST_HELPER"

// TestOwnStop: a supervisor that is stopped is captured, ended and replaced.
func TestOwnStop(t *testing.T) {
	v := upWithCapture(t)
	before, old := v.state("running"), v.instance()
	if err := unix.Kill(old.Supervisor, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	full := v.checkOwnHang(old, before)
	for _, args := range [][]string{{"incidents", "list", "--service", supervisor.OwnName}, {"incidents", "show", full.Incident.ID}, {"events"}} {
		cmd := exec.Command(os.Getenv(binaryEnv), append([]string{"--name", filepath.Base(v.dir), "--runtime-dir", v.path("run"), "--state-dir", v.path("state")}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "gave no sign of life") || !strings.Contains(string(out), supervisor.OwnName) {
			t.Errorf("vigil %v: %v\n%s", args, err, out)
		}
	}
}

// TestOwnWedge: the same for a loop that waits for ever, in a build for tests.
func TestOwnWedge(t *testing.T) {
	faulty := filepath.Join(t.TempDir(), "vigil")
	if out, err := exec.Command("go", "build", "-tags", "vigilfault", "-o", faulty, "../cmd/vigil").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv(helperOverride, filepath.Join(filepath.Dir(os.Getenv(binaryEnv)), "helper", "vigil-capture"))
	t.Setenv(binaryEnv, faulty)
	v := upWithCapture(t)
	before, old := v.state("running"), v.instance()
	touch(v.path("state", "wedge"))
	full := v.checkOwnHang(old, before)
	if !hasFunction(full.Stacks, "supervisor.(*Supervisor).fault") {
		t.Errorf("where it stands is not in %+v", full.Stacks)
	}
}
