package openfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, path string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// find returns what Written says about one descriptor of ours.
func find(t *testing.T, f *os.File) (File, bool) {
	t.Helper()
	list, err := Written(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		if one.FD == int(f.Fd()) {
			return one, true
		}
	}
	return File{}, false
}

const appended = os.O_WRONLY | os.O_CREATE | os.O_APPEND

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	log := open(t, path, appended)
	if got, ok := find(t, log); !ok || got.Path != path || got.Deleted || !got.Append || got.ID.Ino == 0 {
		t.Errorf("got %+v %v", got, ok)
	}
	if _, ok := find(t, open(t, path, os.O_RDONLY)); ok {
		t.Error("a file that is read is listed")
	}
	if got, ok := find(t, open(t, path, os.O_RDWR)); !ok || got.Append {
		t.Errorf("read and write: %+v %v", got, ok)
	}
	odd := path + " (deleted)"
	if got, ok := find(t, open(t, odd, appended)); !ok || got.Path != odd || got.Deleted {
		t.Errorf("an odd name: %+v %v", got, ok)
	}
	must(t, os.Remove(path))
	if got, ok := find(t, log); !ok || got.Path != path || !got.Deleted {
		t.Errorf("deleted: %+v %v", got, ok)
	}
	memory, err := unix.MemfdCreate("m", unix.MFD_CLOEXEC)
	must(t, err)
	m := os.NewFile(uintptr(memory), "m")
	defer m.Close()
	if _, ok := find(t, m); ok {
		t.Error("memory is listed")
	}
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	if _, ok := find(t, w); ok {
		t.Error("a pipe is listed")
	}
	if tmp, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
		defer tmp.Close()
		if _, ok := find(t, tmp); ok {
			t.Error("a file that never had a name is listed")
		}
	}
	if _, err := Written(1 << 29); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no process: %v", err)
	}
}

func TestRotated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	log, data := open(t, path, appended), open(t, filepath.Join(dir, "16384"), os.O_RDWR|os.O_CREATE)
	segment := open(t, filepath.Join(dir, "16384.1"), os.O_RDWR|os.O_CREATE)
	numbered := open(t, filepath.Join(dir, "version.100000001"), appended)
	check := func(f *os.File, before string, want bool) {
		t.Helper()
		got, ok := find(t, f)
		if !ok || got.Rotated(os.Getpid(), before) != want {
			t.Errorf("%+v with the earlier name %q: rotated is not %v", got, before, want)
		}
	}
	for _, f := range []*os.File{log, data, segment, numbered} {
		check(f, "", false)
		check(f, f.Name(), false)
	}
	must(t, os.Rename(path, path+".1"))
	check(log, "", false) // nobody has the original name: it may be its own
	check(log, path, true)
	open(t, path, appended)
	check(log, "", true)
	must(t, os.Remove(path+".1"))
	check(log, "", true)
	must(t, os.Remove(data.Name()))
	check(data, "", false) // a temporary file
	check(data, data.Name(), true)
}

func TestOriginal(t *testing.T) {
	for path, want := range map[string]string{
		"/v/app.log.1": "/v/app.log", "/v/app.log-20261124": "/v/app.log", "/v/app.log.2026-11-24_10:00": "/v/app.log",
		"/v/app-20261124.log": "/v/app.log", "/v/app.1.log": "/v/app.log", "/v/v1.2.log.12": "/v/v1.2.log",
		"/v/app.log": "", "/v/1": "", "/v/.1": "", "/v.1/app": "", "/v/app.log.gz": "", "/v/app.log.old": "",
	} {
		if got := Original(path); got != want {
			t.Errorf("%s: %q, not %q", path, got, want)
		}
	}
}

func FuzzParseFlags(f *testing.F) {
	f.Add("pos:\t0\nflags:\t0102001\nmnt_id:\t30\n")
	f.Add("flags:")
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parseFlags(text); !ok && n != 0 && n>>31 != 0 {
			t.Error(n)
		}
	})
}

func FuzzOriginal(f *testing.F) {
	f.Add("/var/log/app.log.1")
	f.Add("/#7 (deleted)")
	f.Fuzz(func(t *testing.T, path string) {
		if o := Original(path); o == path && path != "" {
			t.Errorf("%q is its own original", path)
		}
		named(path)
	})
}
