package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// fullEnv tells the test binary that it is in a mount namespace of its own.
const fullEnv = "VIGIL_TEST_STORE_FULL"

// TestFullDisk runs the test again in a private mount namespace, where it
// mounts 1 MiB of tmpfs. The mount ends with the namespace, so with the child.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullEnv); dir != "" {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
			t.Fatalf("cannot mount tmpfs: %v", err)
		}
		t.Run("begin", func(t *testing.T) { fullBegin(t, filepath.Join(dir, "begin")) })
		t.Run("evidence", func(t *testing.T) { fullEvidence(t, filepath.Join(dir, "evidence")) })
		t.Run("manifest", func(t *testing.T) { fullManifest(t, filepath.Join(dir, "manifest")) })
		t.Run("strip", func(t *testing.T) { fullStrip(t, filepath.Join(dir, "strip")) })
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a file system of 1 MiB in a mount namespace of its own")
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	child.Env = append(os.Environ(), fullEnv+"="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := child.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs CAP_SYS_ADMIN: it mounts a file system of 1 MiB in a mount namespace of its own")
	}
	if err != nil || strings.Count(string(out), "--- PASS") != 5 {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fill takes all but the given number of bytes of the file system.
func fill(t *testing.T, s *Store, leave int64) (release func()) {
	t.Helper()
	room, err := s.Room()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(s.Root()), "filler")
	if err := os.WriteFile(path, make([]byte, max(0, room.Free-leave)), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func openFull(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fullBegin begins an incident with less and less room.
func fullBegin(t *testing.T, dir string) {
	s := openFull(t, dir)
	begun, refused := 0, 0
	for leave := int64(128 << 10); leave >= 0; leave -= 4096 {
		release := fill(t, s, leave)
		before := len(dirNames(t, dir))
		w, err := s.Begin(Subject{Service: "web"}, at(int(leave)))
		switch {
		case err == nil:
			begun++
			w.Close()
			if err := os.RemoveAll(w.Dir()); err != nil {
				t.Fatal(err)
			}
		case errors.Is(err, unix.ENOSPC):
			refused++
			if after := dirNames(t, dir); len(after) != before {
				t.Errorf("%d bytes free: Begin left %q", leave, after)
			}
			if !strings.Contains(err.Error(), `service "web"`) || len(s.active) != 0 {
				t.Errorf("%d bytes free: %v, %d active", leave, err, len(s.active))
			}
		default:
			t.Errorf("%d bytes free: %v", leave, err)
		}
		release()
	}
	if begun == 0 || refused == 0 {
		t.Errorf("%d begun, %d refused", begun, refused)
	}
}

// fullEvidence fills the disk under an incident: what could not be written is
// not there, and the reserve lets the rest be completed.
func fullEvidence(t *testing.T, dir string) {
	s := openFull(t, dir)
	w := begin(t, s, "web", 1)
	release := fill(t, s, 8<<10)
	defer release()
	if err := w.WriteFile(snapshot.FileOutput, []byte("last words\n")); err != nil {
		t.Fatal(err)
	}
	err := w.WriteFile(snapshot.FileStacks, make([]byte, 100<<10))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), snapshot.FileStacks) {
		t.Fatalf("WriteFile on a full disk: %v", err)
	}
	refill := os.WriteFile(filepath.Join(dir, "..", "filler2"), make([]byte, 64<<10), 0o600)
	defer os.Remove(filepath.Join(dir, "..", "filler2"))
	if !errors.Is(refill, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", refill)
	}
	if err := w.Pending(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, s, Filter{}); len(got) != 1 || got[0].Status != snapshot.StatusPending {
		t.Fatalf("before Complete: %+v", got)
	}
	done, err := w.Complete(snapshot.Incident{Missing: []string{"No stacks: " + err.Error()}})
	if err != nil || done.Status != snapshot.StatusPartial {
		t.Fatalf("Complete on a full disk: %+v, %v", done, err)
	}
	full, err := s.Load(Last)
	if err != nil || len(full.Problems) != 3 || string(full.Output) != "last words\n" {
		t.Fatalf("Load: %+v, %v", full, err)
	}
}

// fullManifest has a manifest larger than the reserve: the incident stays
// unfinished, and can be completed once there is room.
func fullManifest(t *testing.T, dir string) {
	s := openFull(t, dir)
	w := begin(t, s, "web", 1)
	release := fill(t, s, 0)
	incident := snapshot.Incident{Missing: []string{strings.Repeat("long ", 2*ReserveBytes/5)}}
	for range 2 {
		if _, err := w.Complete(incident); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), w.ID()) {
			t.Fatalf("Complete on a full disk: %v", err)
		}
		if got := list(t, s, Filter{}); len(got) != 1 || got[0].Status != snapshot.StatusWriting {
			t.Fatalf("after the failure: %+v", got)
		}
		if names := dirNames(t, w.Dir()); len(names) != 1 {
			t.Fatalf("left behind: %q", names)
		}
	}
	release()
	if _, err := w.Complete(incident); err != nil {
		t.Fatal(err)
	}
}

// fullStrip: a disk that has no room for the new manifest gets it from the file
// that goes.
func fullStrip(t *testing.T, dir string) {
	s := openFull(t, dir)
	old := addLarge(t, s, 1, "v1:a")
	release := fill(t, s, 0)
	defer release()
	if err := os.WriteFile(filepath.Join(dir, "probe"), make([]byte, 4096), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := s.strip(old.ID, Removal{Part: snapshot.FileCore, Bytes: 256 << 10, Reason: "a test"}, at(9)); err != nil {
		t.Fatal(err)
	}
	if i := list(t, s, Filter{})[0]; len(i.Removed) != 1 {
		t.Errorf("%+v", i.Removed)
	}
	if room, err := s.Room(); err != nil || room.Free < 128<<10 {
		t.Errorf("%+v is free, %v", room, err)
	}
}
