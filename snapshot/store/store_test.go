package store

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestLifeOfAnIncident(t *testing.T) {
	s := openStore(t)
	w := begin(t, s, "web", 1)
	if got := list(t, s, Filter{}); len(got) != 1 || got[0].Status != snapshot.StatusWriting || got[0].PID != 4711 || got[0].Bytes < ReserveBytes {
		t.Fatalf("after Begin: %+v", got)
	}
	if err := writeEvidence(w, 3); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Pending(); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, s, Filter{}); got[0].Status != snapshot.StatusPending || !got[0].Time.Equal(at(1)) {
		t.Fatalf("after Pending: %+v", got)
	}
	done, err := w.Complete(snapshot.Incident{Fingerprint: "v1:x"})
	if err != nil {
		t.Fatal(err)
	}
	if done.Status != snapshot.StatusComplete || done.Sentence != "No beat for 10s." || done.Cause != snapshot.CauseHang {
		t.Fatalf("manifest: %+v", done)
	}
	want := []string{"incident.json", "output.txt", "process.json", "stacks.json", "timeline.json"}
	if got := dirNames(t, w.Dir()); !slices.Equal(got, want) {
		t.Fatalf("files %q, want %q", got, want)
	}
	if on, err := usage(w.Dir()); err != nil || on != done.Bytes {
		t.Errorf("manifest says %d bytes, the disk %d, %v", done.Bytes, on, err)
	}
	full, err := s.Load(Last)
	if err != nil || len(full.Problems) > 0 || full.Incident.ID != w.ID() || len(full.Incident.Files) != 5 {
		t.Fatalf("Load: %+v, %v", full, err)
	}
	if len(full.Stacks.Groups) != 3 || full.Process.Comm != "web" || len(full.Timeline) != 1 || string(full.Output) != "last words\n" {
		t.Fatalf("Load: %+v", full)
	}
	for name, err := range map[string]error{"WriteFile": w.WriteFile("x", nil), "Pending": w.Pending()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Complete: %v", name, err)
		}
	}
	if _, err := w.Complete(snapshot.Incident{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Complete after Complete: %v", err)
	}
}

func TestPartial(t *testing.T) {
	s := openStore(t)
	if got := add(t, s, "web", 1, snapshot.Incident{Missing: []string{"No locals."}}); got.Status != snapshot.StatusPartial {
		t.Errorf("with something missing: %s", got.Status)
	}
	if got := add(t, s, "web", 2, snapshot.Incident{Status: snapshot.StatusPartial}); got.Status != snapshot.StatusPartial {
		t.Errorf("as the caller says: %s", got.Status)
	}
	if got := add(t, s, "web", 3, snapshot.Incident{Status: snapshot.StatusWriting}); got.Status != snapshot.StatusComplete {
		t.Errorf("any other word: %s", got.Status)
	}
}

func TestModes(t *testing.T) {
	s := openStore(t)
	w := begin(t, s, "web", 1)
	if err := writeEvidence(w, 1); err != nil {
		t.Fatal(err)
	}
	// A helper that was careless with its umask.
	if err := os.WriteFile(filepath.Join(w.Dir(), "core"), []byte("elf"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Pending(); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		err := filepath.WalkDir(filepath.Dir(s.Root()), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			want := fs.FileMode(filePerm)
			if d.IsDir() {
				want = dirPerm
			}
			if err == nil && info.Mode().Perm() != want {
				t.Errorf("%s: %s has mode %v", when, path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Complete(snapshot.Incident{}); err != nil {
		t.Fatal(err)
	}
	begin(t, s, "web", 2)
	check("complete and begun")
}

func TestNamesOfEvidence(t *testing.T) {
	w := begin(t, openStore(t), "web", 1)
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "incident.json", "writing", "pending", "pinned", "a\x00b", strings.Repeat("n", 129)} {
		if err := w.WriteFile(name, nil); err == nil {
			t.Errorf("WriteFile took %q", name)
		}
	}
	if err := w.WriteFile(snapshot.FileOutput, make([]byte, limitOutput+1)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("an output that Load would cut: %v", err)
	}
	if err := w.WriteJSON("x.json", math.NaN()); err == nil {
		t.Error("a number that JSON does not have was written")
	}
}

func TestIDs(t *testing.T) {
	for service, want := range map[string]string{
		"web": "web", "": "_", "../../etc/passwd": ".._.._etc_passwd", "größe": "gr__e", "a b\n": "a_b_",
		strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		id := newID(service, at(1))
		stamp, got, ok := parseID(id)
		if !ok || got != want || !stamp.Equal(at(1)) || !strings.HasPrefix(id, "20261124T203153.123456Z-") {
			t.Errorf("newID(%q) = %s: %v %q %v", service, id, stamp, got, ok)
		}
	}
	for _, id := range []string{"", "..", "last", "20261124T203153.123456Z-web", "20261124T203153.123456Z-/-abcd",
		"20261124T203153.123456Z--abcd", "20261324T203153.123456Z-web-abcd", ".new-20261124T203153.123456Z-web-abcd"} {
		if validID(id) {
			t.Errorf("%q is an id", id)
		}
	}
}

// TestSameMoment begins more incidents in one microsecond than tries would do
// if ids collided often.
func TestSameMoment(t *testing.T) {
	s := openStore(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 8 {
				if _, err := s.Begin(Subject{Service: "web"}, at(1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := list(t, s, Filter{}); len(got) != 64 {
		t.Fatalf("%d incidents", len(got))
	}
}

func TestListFilterAndOrder(t *testing.T) {
	s := openStore(t)
	for n, service := range []string{"a", "b", "a", "b"} {
		cause := []snapshot.Cause{snapshot.CauseHang, snapshot.CauseCrash}[n/2]
		add(t, s, service, n, snapshot.Incident{Cause: cause, Fingerprint: "v1:" + service})
	}
	begin(t, s, "a", 4)
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []uint64 // instances
	}{
		{"all", Filter{}, []uint64{4, 3, 2, 1, 0}},
		{"service", Filter{Service: "a"}, []uint64{4, 2, 0}},
		{"cause", Filter{Cause: snapshot.CauseCrash}, []uint64{3, 2}},
		{"fingerprint", Filter{Fingerprint: "v1:b"}, []uint64{3, 1}},
		{"since", Filter{Since: at(3)}, []uint64{4, 3}},
		{"until", Filter{Until: at(1)}, []uint64{0}},
		{"max", Filter{Max: 2}, []uint64{4, 3}},
	} {
		var got []uint64
		for _, i := range list(t, s, tt.filter) {
			got = append(got, i.Instance)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestCorruptIncidentHidesNoOther(t *testing.T) {
	s := openStore(t)
	good := add(t, s, "web", 1, snapshot.Incident{})
	contents := []string{"", "{", "[]", `{"schema":99}`, "{}", `{"schema":1,"id":"other","status":"complete"}`, "null"}
	for n, content := range contents {
		bad := add(t, s, "web", 2+n, snapshot.Incident{})
		if err := os.WriteFile(filepath.Join(s.Root(), bad.ID, "incident.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	huge := add(t, s, "web", 50, snapshot.Incident{})
	if err := os.Truncate(filepath.Join(s.Root(), huge.ID, "incident.json"), limitIncident+1); err != nil {
		t.Fatal(err)
	}
	fifo := add(t, s, "web", 51, snapshot.Incident{})
	path := filepath.Join(s.Root(), fifo.ID, "incident.json")
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	link := add(t, s, "web", 52, snapshot.Incident{})
	path = filepath.Join(s.Root(), link.ID, "incident.json")
	if err := errors.Join(os.Remove(path), os.Symlink(filepath.Join(s.Root(), good.ID, "incident.json"), path)); err != nil {
		t.Fatal(err)
	}
	incidents, problems, err := s.List(Filter{})
	if err != nil || len(incidents) != 1 || incidents[0].ID != good.ID {
		t.Fatalf("List: %d incidents, %v", len(incidents), err)
	}
	if len(problems) != len(contents)+3 {
		t.Errorf("problems: %q", problems)
	}
	for _, p := range problems {
		if !strings.Contains(p, filepath.Join(s.Root(), "2026")) {
			t.Errorf("no path in %q", p)
		}
	}
}

func TestLoadSaysWhatIsNotThere(t *testing.T) {
	s := openStore(t)
	i := add(t, s, "web", 1, snapshot.Incident{})
	dir := filepath.Join(s.Root(), i.ID)
	if err := errors.Join(os.Remove(filepath.Join(dir, "process.json")),
		os.WriteFile(filepath.Join(dir, "stacks.json"), []byte("{"), 0o600),
		os.Truncate(filepath.Join(dir, "timeline.json"), limitTimeline+1),
		os.Truncate(filepath.Join(dir, "output.txt"), limitOutput+7)); err != nil {
		t.Fatal(err)
	}
	full, err := s.Load(i.ID)
	if err != nil || full.Stacks != nil || full.Process != nil || full.Timeline != nil || len(full.Output) != limitOutput {
		t.Fatalf("%v; output of %d bytes", err, len(full.Output))
	}
	got := strings.Join(full.Problems, "\n")
	for _, want := range []string{"There is no process.json.", "Cannot read stacks.json", "Cannot read timeline.json", "output.txt: the first 7 bytes"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestReferences(t *testing.T) {
	s := openStore(t)
	if _, err := s.Load(Last); !errors.Is(err, ErrNotFound) {
		t.Errorf("last of none: %v", err)
	}
	first := add(t, s, "web", 1, snapshot.Incident{})
	second := add(t, s, "web", 100, snapshot.Incident{})
	if err := os.Mkdir(filepath.Join(filepath.Dir(s.Root()), "20261124T203152.123456Z-out-abcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{Last: second.ID, first.ID: first.ID, first.ID[:15]: first.ID} {
		if got, err := s.Resolve(ref); err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v", ref, got, err)
		}
	}
	if _, err := s.Load("2026"); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), first.ID) {
		t.Errorf("ambiguous: %v", err)
	}
	for _, ref := range []string{"", ".", "..", "../20261124T203152.123456Z-out-abcd", "/", first.ID + "/.", "x", strings.Repeat("2", 5000)} {
		if _, err := s.Load(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("Load(%.40q): %v", ref, err)
		}
		if _, err := s.Resume(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("Resume(%.40q): %v", ref, err)
		}
	}
}

func TestOpenReadChangesNothing(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "incidents")
	if _, err := OpenRead(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("absent: %v", err)
	}
	s := openStore(t)
	i := add(t, s, "web", 1, snapshot.Incident{})
	r, err := OpenRead(s.Root())
	if err != nil {
		t.Fatal(err)
	}
	if full, err := r.Load(i.ID); err != nil || len(full.Problems) > 0 {
		t.Fatalf("Load: %v", err)
	}
	_, beginErr := r.Begin(Subject{}, at(2))
	_, recoverErr := r.Recover()
	_, resumeErr := r.Resume(i.ID)
	_, _, pruneErr := r.Prune(Policy{MaxBytes: 1}, at(2))
	for name, err := range map[string]error{"Begin": beginErr, "Recover": recoverErr, "Resume": resumeErr, "Prune": pruneErr, "SetPinned": r.SetPinned(Last, true)} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRead(file); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file as a store: %v", err)
	}
}

// TestReaderBesideWriter lists and loads while incidents go through all states
// and away: a reader sees no problem at any moment.
func TestReaderBesideWriter(t *testing.T) {
	s := openStore(t)
	r, err := OpenRead(s.Root())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 40 {
			w, err := s.Begin(Subject{Service: "web"}, at(n))
			if err == nil {
				err = errors.Join(writeEvidence(w, 3), w.Pending())
			}
			if err == nil {
				_, err = w.Complete(snapshot.Incident{})
			}
			if err == nil && n%4 == 3 {
				_, _, err = s.Prune(Policy{MaxBytes: 1}, at(n))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for {
		_, problems, err := r.List(Filter{})
		if err != nil || len(problems) > 0 {
			t.Errorf("List: %v %q", err, problems)
		}
		if _, err := r.Load(Last); err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("Load: %v", err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestRoom(t *testing.T) {
	r, err := openStore(t).Room()
	if err != nil || r.Free < 0 || r.Total <= 0 || r.Free > r.Total || r.FreeInodes > r.Inodes {
		t.Errorf("%+v, %v", r, err)
	}
}

func BenchmarkBeginComplete(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w, err := s.Begin(Subject{Service: "web"}, time.Now())
		if err == nil {
			_, err = w.Complete(snapshot.Incident{})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
