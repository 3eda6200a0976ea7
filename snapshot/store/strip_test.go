package store

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// addLarge makes a complete incident with a core and a dump of 256 KiB each.
func addLarge(t *testing.T, s *Store, n int, fingerprint string) snapshot.Incident {
	t.Helper()
	w := begin(t, s, "web", n)
	if err := writeEvidence(w, 3); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{snapshot.FileCore, snapshot.FileDump} {
		if err := os.WriteFile(filepath.Join(w.Dir(), name), make([]byte, 256<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done, err := w.Complete(snapshot.Incident{Fingerprint: fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestPruneParts: memory goes first, and the incident says so.
func TestPruneParts(t *testing.T) {
	s := openStore(t)
	old, last := addLarge(t, s, 1, "v1:a"), addLarge(t, s, 2, "v1:a")
	removed, problems, err := s.Prune(Policy{MaxBytes: old.Bytes + last.Bytes - 1}, at(100))
	if err != nil || len(problems) > 0 || len(removed) != 1 || removed[0].ID != old.ID || removed[0].Part != snapshot.FileCore {
		t.Fatalf("%+v, %q, %v", removed, problems, err)
	}
	full, err := s.Load(old.ID)
	if err != nil {
		t.Fatal(err)
	}
	i := full.Incident
	gone, ok := i.RemovedFile(snapshot.FileCore)
	if !ok || gone.Bytes != 256<<10 || !gone.Time.Equal(at(100)) || !strings.Contains(gone.Why, "the limit is") {
		t.Errorf("%+v", i.Removed)
	}
	if len(full.Problems) != 1 || !strings.HasPrefix(full.Problems[0], "core (262144 bytes) was removed by quota at 2026-") {
		t.Errorf("%q", full.Problems)
	}
	if i.Sentence != old.Sentence || i.Status != old.Status || i.Bytes != old.Bytes-256<<10 || len(i.Files) != len(old.Files)-1 {
		t.Errorf("%+v", i)
	}
	if _, err := os.Lstat(filepath.Join(s.Root(), old.ID, snapshot.FileCore)); !os.IsNotExist(err) {
		t.Errorf("the core is there: %v", err)
	}
	if full, err := s.Load(last.ID); err != nil || len(full.Incident.Removed) > 0 {
		t.Errorf("the newest has lost something: %+v, %v", full.Incident.Removed, err)
	}
}

// TestPruneStacks: of what is read, it is told in place of "there is none".
func TestPruneStacks(t *testing.T) {
	s := openStore(t)
	old := add(t, s, "web", 1, snapshot.Incident{Fingerprint: "v1:a"})
	if err := s.strip(old.ID, Removal{ID: old.ID, Part: snapshot.FileStacks, Bytes: 4096, Reason: "a test wants it"}, at(9)); err != nil {
		t.Fatal(err)
	}
	full, err := s.Load(old.ID)
	if err != nil || full.Stacks != nil || len(full.Problems) != 1 || !strings.Contains(full.Problems[0], "removed by quota") {
		t.Fatalf("%q, %v", full.Problems, err)
	}
}

// TestStripKeepsTheUnknown: a manifest of a newer vigil loses nothing.
func TestStripKeepsTheUnknown(t *testing.T) {
	s := openStore(t)
	old := addLarge(t, s, 1, "v1:a")
	path := filepath.Join(s.Root(), old.ID, snapshot.FileIncident)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = []byte(strings.Replace(string(data), "{", `{"later": {"a<b": [1.50, 12345678901234567890]},`, 1))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{snapshot.FileCore, snapshot.FileDump, snapshot.FileCore} {
		if err := s.strip(old.ID, Removal{Part: part, Bytes: 256 << 10}, at(9)); err != nil {
			t.Fatal(err)
		}
	}
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	var later struct {
		B []json.Number `json:"a<b"`
	}
	if err := json.Unmarshal(keys["later"], &later); err != nil || len(later.B) != 2 || later.B[0] != "1.50" || later.B[1] != "12345678901234567890" {
		t.Errorf("%s, %v", keys["later"], err)
	}
	if i := list(t, s, Filter{})[0]; len(i.Removed) != 2 {
		t.Errorf("%+v", i.Removed)
	}
}

// TestPruneFinishes: a prune that was killed between manifest and file is finished.
func TestPruneFinishes(t *testing.T) {
	s := openStore(t)
	old := addLarge(t, s, 1, "v1:a")
	core := filepath.Join(s.Root(), old.ID, snapshot.FileCore)
	if err := os.Link(core, filepath.Join(s.Root(), ".saved")); err != nil {
		t.Fatal(err)
	}
	if err := s.strip(old.ID, Removal{Part: snapshot.FileCore, Bytes: 256 << 10, Reason: "a test"}, at(9)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.Root(), ".saved"), core); err != nil { // as if it had been killed
		t.Fatal(err)
	}
	if _, problems, err := s.Prune(Policy{}, at(10)); err != nil || len(problems) > 0 {
		t.Fatalf("%q, %v", problems, err)
	}
	if _, err := os.Lstat(core); !os.IsNotExist(err) {
		t.Errorf("the core is there: %v", err)
	}
}

// TestStripRefuses: what is pinned, or not complete, is not touched.
func TestStripRefuses(t *testing.T) {
	s := openStore(t)
	pinned, writing := addLarge(t, s, 1, "v1:a"), begin(t, s, "web", 2)
	if err := s.SetPinned(pinned.ID, true); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{pinned.ID, writing.ID()} {
		if err := s.strip(id, Removal{Part: snapshot.FileCore}, at(9)); err == nil {
			t.Errorf("%s lost its core", id)
		}
		if err := s.remove(id); err == nil {
			t.Errorf("%s was removed", id)
		}
	}
	addLarge(t, s, 3, "v1:a")
	removed, _, err := s.Prune(Policy{MaxBytes: 1}, at(100))
	if err != nil || len(removed) > 0 {
		t.Errorf("%+v, %v", removed, err)
	}
}

// TestSwappedPart: a link in place of a file is not evidence, and leads nowhere.
func TestSwappedPart(t *testing.T) {
	s := openStore(t)
	old := addLarge(t, s, 1, "v1:a")
	addLarge(t, s, 2, "v1:a")
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	core := filepath.Join(s.Root(), old.ID, snapshot.FileCore)
	if err := os.Remove(core); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, core); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Prune(Policy{MaxBytes: old.Bytes}, at(100)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}
