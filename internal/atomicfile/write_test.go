package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// names lists a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, step := range []struct {
		data string
		perm fs.FileMode
		want fs.FileMode
	}{{"one", 0, 0o600}, {"", 0o640, 0o640}, {"three", 0o666, 0o666}} {
		if err := Write(path, []byte(step.data), step.perm); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.data {
			t.Fatalf("read %q, %v; want %q", got, err, step.data)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != step.want {
			t.Fatalf("mode %v, %v; want %v", info.Mode(), err, step.want)
		}
	}
	if list := names(t, dir); len(list) != 1 {
		t.Fatalf("left behind: %v", list)
	}
}

func TestWriteReplacesALink(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "a")
	if err := os.WriteFile(victim, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "keep" {
		t.Fatalf("the target of the link was written: %q, %v", got, err)
	}
}

func TestWriteOfALongName(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	if err := Write(path, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
}

func TestFailureLeavesNothingAndNamesThePath(t *testing.T) {
	dir := t.TempDir()
	occupied := filepath.Join(dir, "occupied")
	if err := os.MkdirAll(filepath.Join(occupied, "child"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		is         error
	}{
		{"a directory is in the way", occupied, syscall.EEXIST},
		{"no such directory", filepath.Join(dir, "absent", "a"), fs.ErrNotExist},
		{"name too long", filepath.Join(dir, strings.Repeat("n", 256)), syscall.ENAMETOOLONG},
	}
	for _, tt := range tests {
		err := Write(tt.path, []byte("x"), 0)
		if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), "cannot write "+tt.path) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	if list := names(t, dir); len(list) != 1 {
		t.Fatalf("left behind: %v", list)
	}
}

// A full disk is tested in snapshot/store, on a small file system of its own.
func TestFillOfAnExistingNameFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "there")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fill(path, []byte("new"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("fill took a name that existed: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Fatalf("fill changed what was there: %q", got)
	}
}

// TestReaderSeesWholeContents reads while two writers replace the file.
func TestReaderSeesWholeContents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	contents := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 50_000)}
	if err := Write(path, []byte(contents[0]), 0); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, content := range contents {
		writers.Go(func() {
			for range 20 {
				if err := Write(path, []byte(content), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if s := string(got); s != contents[0] && s != contents[1] {
			t.Errorf("a part was seen: %d bytes", len(s))
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestIsTemporary(t *testing.T) {
	for name, want := range map[string]bool{".atomic-X": true, "incident.json": false, ".hidden": false, "": false} {
		if got := IsTemporary(name); got != want {
			t.Errorf("IsTemporary(%q) = %v", name, got)
		}
	}
}
