package supervisor_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

const hogLimit = 64 << 20

// limitMemory bounds the memory of a process by a cgroup: that of the service
// where there is cgroup v2 with a memory controller, else one of cgroup v1.
func limitMemory(t *testing.T, s control.Service) {
	t.Helper()
	if file := filepath.Join(s.Cgroup, "memory.max"); s.Cgroup != "" {
		if f, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil {
			_, err := f.WriteString(strconv.Itoa(hogLimit))
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	dir := fmt.Sprintf("/sys/fs/cgroup/memory/vigil-test-memory-%d", os.Getpid())
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(dir), &fs); err != nil || fs.Type != unix.CGROUP_SUPER_MAGIC {
		t.Skip("needs a memory controller, of cgroup v2 or v1")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("needs a writable hierarchy of the memory controller: %v", err)
	}
	t.Cleanup(func() {
		var err error
		for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
			if err = os.Remove(dir); !errors.Is(err, unix.EBUSY) {
				break
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	for file, value := range map[string]int{"memory.limit_in_bytes": hogLimit, "cgroup.procs": s.PID} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(value)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledForMemory: the kernel kills a service that grows, and the incident says
// so, with what the kernel said.
func TestKilledForMemory(t *testing.T) {
	v := up(t, "hog", "ready.notify = true\n", "")
	s := v.service("ready", func(s control.Service) bool { return s.Ready && s.PID != 0 })
	limitMemory(t, s)
	touch(v.path("go"))
	i := v.incidentOfFirst().Incident
	if i.Cause != snapshot.CauseOOM || !strings.Contains(i.Sentence, "the kernel killed it for memory: ") || i.Exit == nil || i.Exit.Signal != "KILL" {
		t.Errorf("%s: %q, exit %+v", i.Cause, i.Sentence, i.Exit)
	}
	if i.Card == nil || i.Card.Confidence != snapshot.ConfidenceCertain {
		t.Errorf("card %+v", i.Card)
	}
	t.Log(i.Sentence)
}

// TestKilledBySomebody: the same signal from anybody else is not called so.
func TestKilledBySomebody(t *testing.T) {
	v := up(t, "hog", "ready.notify = true\n", "")
	s := v.service("ready", func(s control.Service) bool { return s.Ready && s.PID != 0 })
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if i := v.incidentOfFirst().Incident; i.Cause != snapshot.CauseKilled || strings.Contains(i.Sentence, "memory") {
		t.Errorf("%s: %q", i.Cause, i.Sentence)
	}
}
