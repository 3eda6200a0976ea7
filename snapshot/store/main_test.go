package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// childEnv makes the test binary a writer that is killed.
const childEnv = "VIGIL_TEST_STORE_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		role := roles[os.Getenv(roleEnv)]
		if role == nil {
			role = writeForever
		}
		role(dir)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// fail ends a child of a test.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// writeForever begins and completes incidents until it is killed.
func writeForever(dir string) {
	s, err := Open(dir)
	if err != nil {
		fail(err)
	}
	for n := 1; ; n++ {
		w, err := s.Begin(Subject{Service: "web", Instance: uint64(n), PID: 1, Cause: snapshot.CauseHang}, time.Now())
		if err != nil {
			fail(err)
		}
		if n == 1 {
			fmt.Println("writing")
		}
		if err := writeEvidence(w, 100); err != nil {
			fail(err)
		}
		if err := w.Pending(); err != nil {
			fail(err)
		}
		if _, err := w.Complete(snapshot.Incident{Sentence: "It hung."}); err != nil {
			fail(err)
		}
	}
}

// writeEvidence writes the four files with stacks of that many groups.
func writeEvidence(w *Writing, groups int) error {
	stacks := snapshot.Stacks{Schema: snapshot.SchemaVersion, Runtime: "go", Total: groups}
	for range groups {
		stacks.Groups = append(stacks.Groups, snapshot.Group{Count: 1, Status: "waiting",
			Frames: []snapshot.Frame{{Place: snapshot.Place{Function: strings.Repeat("f", 200)}}}})
	}
	if err := w.WriteJSON(snapshot.FileStacks, stacks); err != nil {
		return err
	}
	process := snapshot.Process{Schema: snapshot.SchemaVersion, PID: 1, Comm: "web"}
	if err := w.WriteJSON(snapshot.FileProcess, process); err != nil {
		return err
	}
	if err := w.WriteJSON(snapshot.FileTimeline, []snapshot.Moment{{Kind: "verdict", Text: "hang"}}); err != nil {
		return err
	}
	return w.WriteFile(snapshot.FileOutput, []byte("last words\n"))
}

// at is the time of the nth incident of a test.
func at(n int) time.Time {
	return time.Date(2026, 11, 24, 20, 31, 52, 123456000, time.UTC).Add(time.Duration(n) * time.Second)
}

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state", "incidents"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t *testing.T, s *Store, service string, n int) *Writing {
	t.Helper()
	w, err := s.Begin(Subject{Service: service, Instance: uint64(n), PID: 4711, Cause: snapshot.CauseHang, Sentence: "No beat for 10s."}, at(n))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// add makes a complete incident.
func add(t *testing.T, s *Store, service string, n int, incident snapshot.Incident) snapshot.Incident {
	t.Helper()
	w := begin(t, s, service, n)
	if err := writeEvidence(w, 3); err != nil {
		t.Fatal(err)
	}
	done, err := w.Complete(incident)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func list(t *testing.T, s *Store, f Filter) []snapshot.Incident {
	t.Helper()
	incidents, problems, err := s.List(f)
	if err != nil || len(problems) > 0 {
		t.Fatalf("List: %v, problems %q", err, problems)
	}
	return incidents
}

// dirNames lists a directory, hidden entries too.
func dirNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
