package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/export"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

const id = "20261125T135555.179923Z-web-b071"

func pack(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, h := range entries {
		text := strings.Repeat("x", int(h.Size))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string, size int64) tar.Header {
	return tar.Header{Name: name, Size: size, Mode: 0o777, Typeflag: tar.TypeReg}
}

// What was exported is read again as it was, without memory.
func TestOpen(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Begin(store.Subject{Service: "web", Instance: 3, PID: 42, Cause: snapshot.CauseHang}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(w.WriteJSON(snapshot.FileStacks, snapshot.Stacks{Schema: 1, Total: 7, Groups: []snapshot.Group{{Count: 7}}}),
		w.WriteFile(snapshot.FileOutput, []byte("said\n")), w.WriteFile(snapshot.FileCore, []byte("memory")), w.Pending())
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.Complete(snapshot.Incident{Schema: 1, Service: "web", Instance: 3, PID: 42, Time: time.Now().UTC(), Cause: snapshot.CauseHang, Sentence: "it hangs"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "one.tar.zst")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := s.Dir(i.ID)
	if err := errors.Join(export.Bundle(out, dir, i.ID, i.Time, nil, false), out.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	full, err := b.Load(i.ID)
	if err != nil || full.Incident.Sentence != "it hangs" || full.Stacks == nil || full.Stacks.Total != 7 || string(full.Output) != "said\n" {
		t.Errorf("%+v, %v", full, err)
	}
	unpacked, _ := b.Dir(i.ID)
	if _, err := os.Stat(filepath.Join(unpacked, snapshot.FileCore)); err == nil {
		t.Error("the core was unpacked")
	}
	if info, err := os.Stat(filepath.Join(unpacked, snapshot.FileStacks)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(unpacked); err == nil {
		t.Error("it is left after Close")
	}
}

// Nothing leads out of the directory, and nothing is larger than it may be.
func TestRefused(t *testing.T) {
	whole := pack(t, file(id+"/"+snapshot.FileOutput, 100_000))
	for name, data := range map[string][]byte{
		"empty":       {},
		"not zstd":    []byte("PK\x03\x04 something else"),
		"not tar":     pack(t)[:10],
		"no incident": pack(t),
		"cut":         whole[:len(whole)/2],
		"traversal":   pack(t, file("../"+snapshot.FileOutput, 1)),
		"deep":        pack(t, file(id+"/../../"+snapshot.FileOutput, 1)),
		"absolute":    pack(t, file("/etc/"+snapshot.FileOutput, 1)),
		"another id":  pack(t, file("web/"+snapshot.FileOutput, 1)),
		"link":        pack(t, tar.Header{Name: id + "/" + snapshot.FileOutput, Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}),
		"hard link":   pack(t, tar.Header{Name: id + "/" + snapshot.FileOutput, Linkname: "/etc/passwd", Typeflag: tar.TypeLink}),
		"device":      pack(t, tar.Header{Name: id + "/" + snapshot.FileOutput, Typeflag: tar.TypeChar}),
		"twice":       pack(t, file(id+"/"+snapshot.FileOutput, 1), file(id+"/"+snapshot.FileOutput, 1)),
		"too much":    pack(t, file(id+"/"+snapshot.FileOutput, 1<<20), file(id+"/"+snapshot.FileStacks, 1<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "in")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Unpack(bytes.NewReader(data), dir, 3<<19); !errors.Is(err, ErrBundle) {
				t.Errorf("%v", err)
			}
			entries, _ := os.ReadDir(above)
			if len(entries) != 1 {
				t.Errorf("beside it there is %v", entries)
			}
		})
	}
	other := t.TempDir()
	if err := Unpack(bytes.NewReader(pack(t, file(id+"/"+snapshot.FileOutput, 5), file(id+"/new.json", 5))), other, 1<<20); err != nil {
		t.Errorf("a file of a later vigil: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, file(id+"/"+snapshot.FileOutput, 10)))
	f.Add(pack(f, file("../x", 10)))
	f.Fuzz(func(t *testing.T, data []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = Unpack(bytes.NewReader(data), dir, 1<<16)
		if entries, _ := os.ReadDir(above); len(entries) != 1 {
			t.Fatalf("beside it there is %v", entries)
		}
	})
}
