package store

import (
	"bufio"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestRecoverResumeAbandon(t *testing.T) {
	former := openStore(t)
	whole := add(t, former, "web", 1, snapshot.Incident{})
	writing, pending := begin(t, former, "web", 2), begin(t, former, "web", 3)
	if err := errors.Join(writeEvidence(pending, 3), pending.Pending()); err != nil {
		t.Fatal(err)
	}
	capture := snapshot.Capture{Schema: 1, Freeze: snapshot.Freeze{Method: "copy", Threads: 7}, Missing: []string{"No locals."}}
	if err := pending.WriteJSON(snapshot.FileCapture, capture); err != nil {
		t.Fatal(err)
	}

	if list, err := former.Recover(); err != nil || len(list) > 0 {
		t.Fatalf("its own work was recovered: %v, %v", list, err)
	}
	s, err := Open(former.Root())
	if err != nil {
		t.Fatal(err)
	}
	own := begin(t, s, "web", 4)
	found, err := s.Recover()
	if err != nil || len(found) != 2 || found[0].ID != writing.ID() || found[1].ID != pending.ID() {
		t.Fatalf("Recover: %+v, %v", found, err)
	}
	if found[0].Status != snapshot.StatusWriting || found[1].Status != snapshot.StatusPending || found[0].Rebooted || found[0].Lost ||
		found[1].Marker.Instance != 3 || found[1].Marker.Writer != os.Getpid() {
		t.Fatalf("Recover: %+v", found)
	}
	if _, err := s.Resume(own.ID()); !errors.Is(err, ErrBusy) {
		t.Errorf("Resume of its own: %v", err)
	}
	if _, err := s.Resume(whole.ID); !errors.Is(err, ErrFinished) {
		t.Errorf("Resume of a complete one: %v", err)
	}
	w, err := s.Resume(pending.ID())
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Abandon("The supervisor was replaced while it wrote.")
	if err != nil || got.Status != snapshot.StatusPartial || got.Freeze.Threads != 7 || len(got.Missing) != 2 || got.Instance != 3 || got.Sentence != "No beat for 10s." {
		t.Fatalf("Abandon: %+v, %v", got, err)
	}
	w, err = s.Resume(writing.ID())
	if err != nil {
		t.Fatal(err)
	}
	w.Close() // given up: it is listed again
	if found, err := s.Recover(); err != nil || len(found) != 1 || found[0].ID != writing.ID() {
		t.Fatalf("after Close: %+v, %v", found, err)
	}
}

func TestRecoverOfRemains(t *testing.T) {
	s := openStore(t)
	whole := add(t, s, "web", 1, snapshot.Incident{})
	mkdir := func(name string) string {
		dir := filepath.Join(s.Root(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	write := func(dir, name, data string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(s.Root(), whole.ID), "pending", "{}") // killed before it removed the marker
	write(mkdir(".new-20261124T203152.123456Z-web-0001"), "writing", "{}")
	write(mkdir(".removed-20261124T203152.123456Z-web-0002"), "core", "x")
	mkdir("20261124T203152.123456Z-web-0003") // empty
	lost := mkdir("20261124T203152.123456Z-web-0004")
	write(lost, "stacks.json", "{}")
	write(mkdir("20261124T203152.123456Z-web-0005"), "writing", "\x00")
	reboot := mkdir("20261124T203152.123456Z-web-0006")
	write(reboot, "writing", `{"schema":1,"service":"web","boot_id":"another"}`)
	write(reboot, ".atomic-X", "half")
	foreign := mkdir("lost+found")

	found, err := s.Recover()
	if err != nil || len(found) != 3 {
		t.Fatalf("Recover: %+v, %v", found, err)
	}
	if !found[0].Lost || !found[1].Lost || found[2].Lost || !found[2].Rebooted {
		t.Errorf("Recover: %+v", found)
	}
	for _, u := range found {
		w, err := s.Resume(u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Pending(); err != nil {
			t.Error(err)
		}
		if got, err := w.Abandon(""); err != nil || got.Service != "web" || got.Sentence == "" {
			t.Errorf("Abandon: %+v, %v", got, err)
		}
	}
	if got := list(t, s, Filter{}); len(got) != 4 {
		t.Errorf("%d incidents", len(got))
	}
	names := dirNames(t, s.Root())
	if len(names) != 5 || !slices.Contains(names, filepath.Base(foreign)) {
		t.Errorf("left: %q", names)
	}
	if names := dirNames(t, reboot); slices.Contains(names, ".atomic-X") || slices.Contains(names, "pending") {
		t.Errorf("left: %q", names)
	}
}

// TestKilledWriter kills a writer at random moments: whatever shows as complete
// is whole, and the rest can be recovered.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	kills := 50
	if testing.Short() {
		kills = 5
	}
	seen := make(map[string]bool)
	states := make(map[snapshot.Status]int)
	for range kills {
		killWriter(t, dir, time.Duration(rand.Int64N(int64(60*time.Millisecond))))
		for _, i := range list(t, s, Filter{}) {
			if seen[i.ID] {
				continue
			}
			seen[i.ID] = true
			states[i.Status]++
			if i.Status == snapshot.StatusComplete {
				checkWhole(t, s, i)
			}
		}
		found, err := s.Recover()
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range found {
			if u.Lost {
				t.Errorf("incident %s lost its marker", u.ID)
			}
			w, err := s.Resume(u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Abandon("The writer was killed."); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d incidents: %v when their writer was killed", len(seen), states)
	for _, name := range dirNames(t, dir) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("left behind: %s", name)
		}
		for _, file := range dirNames(t, filepath.Join(dir, name)) {
			if strings.HasPrefix(file, ".") || isMarker(file) {
				t.Errorf("left behind: %s in %s", file, name)
			}
		}
	}
}

// killWriter runs a writer and kills it some time after its first incident began.
func killWriter(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, readErr := bufio.NewReader(out).ReadString('\n')
	// The moment of the kill is what is random; nothing waits for it.
	timer := time.NewTimer(after)
	<-timer.C
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = child.Wait() // it was killed
	if readErr != nil || stderr.Len() > 0 {
		t.Fatalf("writer: %v, %s", readErr, stderr.String())
	}
}

func checkWhole(t *testing.T, s *Store, i snapshot.Incident) {
	t.Helper()
	full, err := s.Load(i.ID)
	if err != nil || len(full.Problems) > 0 {
		t.Errorf("incident %s is complete, but: %v %q", i.ID, err, full.Problems)
		return
	}
	if len(full.Stacks.Groups) != 100 || len(i.Files) != 5 || string(full.Output) != "last words\n" {
		t.Errorf("incident %s is complete, but has %d groups, %d files", i.ID, len(full.Stacks.Groups), len(i.Files))
	}
}
