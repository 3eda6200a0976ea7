package store

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// FuzzLoad puts arbitrary bytes into the files of an incident.
func FuzzLoad(f *testing.F) {
	const id = "20261124T203152.123456Z-web-abcd"
	valid := []byte(`{"schema":1,"id":"` + id + `","status":"complete","files":[{"name":"x","bytes":1}]}`)
	f.Add(valid, []byte(`{"schema":1,"groups":[{"count":1,"frames":[{"function":"f","pc":1}]}]}`), []byte(`[{"kind":"beat"}]`), []byte("{}"))
	f.Add([]byte("{}"), []byte("["), []byte("null"), []byte(`{"schema":1}`))
	f.Add(valid, []byte("\xff\x00"), []byte("\x1b[2J"), []byte(""))
	f.Fuzz(func(t *testing.T, incident, stacks, timeline, marker []byte) {
		s := arbitrary(t, id, incident, stacks, timeline, marker)
		checkArbitrary(t, s, id)
		if err := os.Remove(filepath.Join(s.Root(), id, snapshot.FileIncident)); err != nil {
			t.Fatal(err)
		}
		checkArbitrary(t, s, id) // by its marker alone
	})
}

// FuzzAbandon completes an incident whose marker and report are arbitrary. It
// waits for the disk, so it is apart from FuzzLoad.
func FuzzAbandon(f *testing.F) {
	const id = "20261124T203152.123456Z-web-abcd"
	f.Add([]byte("{}"))
	f.Add([]byte(`{"schema":1,"missing":["No locals."]}`))
	f.Add([]byte(`{"schema":1,"service":"\u0000","time":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, marker []byte) {
		s := arbitrary(t, id, nil, marker, marker, marker)
		if err := os.Remove(filepath.Join(s.Root(), id, snapshot.FileIncident)); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Recover(); err != nil || len(found) != 1 {
			t.Fatalf("Recover: %v, %v", found, err)
		}
		w, err := s.Resume(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Abandon("fuzz"); err != nil {
			t.Fatal(err)
		}
		checkArbitrary(t, s, id)
	})
}

// arbitrary makes a store with one incident of such files.
func arbitrary(t *testing.T, id string, incident, stacks, timeline, marker []byte) *Store {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Root(), id)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"incident.json": incident, "stacks.json": stacks, "process.json": stacks,
		"timeline.json": timeline, "output.txt": timeline, "pending": marker, "capture.json": marker} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// checkArbitrary expects one incident or one problem, and List and Load agree.
func checkArbitrary(t *testing.T, s *Store, id string) {
	full, loadErr := s.Load(Last)
	incidents, problems, err := s.List(Filter{})
	if err != nil || len(incidents)+len(problems) != 1 || (loadErr == nil) != (len(incidents) == 1) {
		t.Fatalf("List: %d incidents, %q, %v; Load: %v", len(incidents), problems, err, loadErr)
	}
	if loadErr == nil && full.Incident.ID != id {
		t.Fatalf("id %q", full.Incident.ID)
	}
}

// FuzzID: an id never leads out of the store.
func FuzzID(f *testing.F) {
	for _, s := range []string{"web", "../x", "", "a/b", "\x00", "20261124T203152.123456Z-web-abcd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id := newID(s, at(1))
		if !validID(id) || !utf8.ValidString(id) {
			t.Errorf("newID(%q) = %q is not valid", s, id)
		}
		if validID(s) && (filepath.Base(s) != s || s[0] == '.') {
			t.Errorf("%q leads out of the store", s)
		}
	})
}
