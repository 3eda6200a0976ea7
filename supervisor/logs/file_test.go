package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writeTo writes bytes as a queue does.
func writeTo(l *file, p []byte) (int, error) {
	c := &chunk{record: new(record), data: p}
	c.hasRead(len(p))
	c.wall.Store(uint64(time.Now().UnixNano()))
	err := l.write(c, len(p))
	return c.start(), err
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return "(none)"
	}
	return string(b)
}

func TestFileRotates(t *testing.T) {
	dir := t.TempDir()
	l := &file{path: filepath.Join(dir, "web.log"), mode: 0o640, maxSize: 20, keep: 2}
	for i := range 9 {
		if n, err := writeTo(l, fmt.Appendf(nil, "line %d\n", i)); n != 7 || err != nil {
			t.Fatal(n, err)
		}
	}
	for name, want := range map[string]string{
		"web.log": "line 8\n", "web.log.1": "line 6\nline 7\n", "web.log.2": "line 4\nline 5\n", "web.log.3": "(none)",
	} {
		if got := content(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	// One write of several files' worth, with a line larger than a file.
	if n, err := writeTo(l, []byte("a\nb\n"+strings.Repeat("x", 50)+"\nc\n")); n != 57 || err != nil {
		t.Fatal(n, err)
	}
	l.keep = 0
	if _, err := writeTo(l, []byte(strings.Repeat("y", 19)+"\n")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, l.path); got != strings.Repeat("y", 19)+"\n" {
		t.Errorf("%q", got)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 2 { // the other is hidden
		t.Errorf("%q left with keep = 0", all)
	}
	if st, err := os.Stat(l.path); err != nil || st.Mode().Perm()&^0o640 != 0 {
		t.Errorf("%v, %v", st, err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

func TestFileContinuesAndRotatesAnOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.log")
	if err := os.WriteFile(path, []byte(strings.Repeat("old\n", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &file{path: path, maxSize: 20, keep: 1}
	if _, err := writeTo(l, []byte("new\n")); err != nil {
		t.Fatal(err)
	}
	if content(t, path) != "new\n" || len(content(t, path+".1")) != 40 {
		t.Errorf("%q", content(t, path))
	}
	_ = l.close()
}

func TestFileReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.log")
	l := &file{path: path, mode: 0o600}
	_, _ = writeTo(l, []byte("one\n"))
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	_, _ = writeTo(l, []byte("two\n"))
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	_, _ = writeTo(l, []byte("three\n"))
	if content(t, path+".moved") != "one\ntwo\n" || content(t, path) != "three\n" {
		t.Error("wrong content after reopen")
	}
	_ = l.close()
}

func TestFileRefusesTraps(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("v"), 0o600); err != nil {
		t.Fatal(err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, fifo, dir, filepath.Join(dir, "none", "x")} {
		if _, err := writeTo(&file{path: p}, []byte("x")); err == nil {
			t.Errorf("%s was written to", p)
		}
	}
	if content(t, victim) != "v" {
		t.Error("a link was followed")
	}
}

func TestFileStopsWhenItCannotRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.log")
	// A directory that is not empty cannot be replaced.
	if err := os.MkdirAll(path+".1/x", 0o700); err != nil {
		t.Fatal(err)
	}
	l := &file{path: path, mode: 0o600, maxSize: 10, keep: 1}
	n, err := writeTo(l, []byte("12345678\nabcdefgh\n"))
	if n != 9 || err == nil || content(t, path) != "12345678\n" {
		t.Errorf("%d, %v, %q", n, err, content(t, path))
	}
}
