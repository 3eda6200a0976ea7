package watchdog

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// fileRig is a watcher of one file that does not exist yet.
type fileRig struct {
	t    *testing.T
	w    *FileWatcher
	path string
	got  chan FileLook
	last FileStamp
}

func newFileRig(t *testing.T, path string) *fileRig {
	t.Helper()
	g := &fileRig{t: t, path: path, got: make(chan FileLook, 1024)}
	g.w = NewFileWatcher(func(l FileLook) { g.got <- l })
	t.Cleanup(func() {
		if err := g.w.Close(patience); err != nil {
			t.Error(err)
		}
	})
	if err := g.w.Failure(); err != nil {
		t.Skip(err)
	}
	g.do("add", func() error { return g.w.Add(path) }, func(l FileLook) bool { return true })
	return g
}

// do does something, of which a look must come that no Look asked for.
func (g *fileRig) do(what string, act func() error, want func(FileLook) bool) {
	g.t.Helper()
	if err := act(); err != nil {
		g.t.Fatalf("%s: %v", what, err)
	}
	timeout := time.After(patience)
	for {
		select {
		case l := <-g.got:
			if l.Failed != nil || l.Path != g.path {
				g.t.Fatalf("%s: %+v", what, l)
			}
			if want(l) {
				g.last = l.Stamp
				return
			}
		case <-timeout:
			g.t.Fatalf("%s: nobody told", what)
		}
	}
}

func (g *fileRig) changed(l FileLook) bool { return !l.Stamp.Missing() && !l.Stamp.same(g.last) }

func missing(l FileLook) bool { return l.Stamp.Missing() }

func (g *fileRig) write(path, text string) func() error {
	return func() error {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString(text)
		return err
	}
}

func TestFileWatcher(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a/b")
	path := filepath.Join(dir, "beat")
	g := newFileRig(t, path)
	make := func() error { return os.MkdirAll(dir, 0o700) }
	begin := func() error { // the directory and at once the file
		if err := make(); err != nil {
			return err
		}
		return g.write(path, "x")()
	}
	g.do("made with its directories", begin, g.changed)
	g.do("appended to", g.write(path, "x"), g.changed)
	g.do("touched", func() error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) }, g.changed)
	g.do("replaced", func() error {
		if err := g.write(path+".new", "xxxxx")(); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}, g.changed)
	g.do("appended to what replaced it", g.write(path, "x"), g.changed)
	g.do("renamed", func() error { return os.Rename(path, path+".1") }, missing)
	g.do("made again", g.write(path, "yyy"), g.changed)
	g.do("deleted", func() error { return os.Remove(path) }, missing)
	g.do("made after that", g.write(path, "zz"), g.changed)
	g.do("gone with its directories", func() error { return os.RemoveAll(filepath.Join(top, "a")) }, missing)
	g.do("made again with them", begin, g.changed)
	g.do("appended to there", g.write(path, "x"), g.changed)
	g.do("its directory moved away", func() error { return os.Rename(dir, dir+".old") }, missing)
	g.do("made in another directory", begin, g.changed)
	g.do("appended to in that", g.write(path, "x"), g.changed)
}

// What is behind a link, and a directory further up that is moved away, is found
// by a look, which also puts the watch right.
func TestFileWatcherLooks(t *testing.T) {
	top := t.TempDir()
	target, path := filepath.Join(top, "target"), filepath.Join(top, "a/b/c/beat")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	g := newFileRig(t, path)
	if err := g.write(target, "x")(); err != nil {
		t.Fatal(err)
	}
	g.do("a link", func() error { return os.Symlink(target, path) }, g.changed)
	look := func(act func() error) func() error {
		return func() error {
			defer g.w.Look(path)
			return act()
		}
	}
	g.do("behind the link", look(g.write(target, "x")), g.changed)
	g.do("moved far above", look(func() error { return os.Rename(filepath.Join(top, "a"), filepath.Join(top, "z")) }), missing)
	g.do("made again", func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return g.write(path, "file")()
	}, g.changed)
	g.do("and written", g.write(path, "x"), g.changed)
}

// Events that were lost leave nothing unseen. The kernel says so; here it is
// said in its stead, since its queue takes 16,384 events.
func TestFileWatcherAfterOverflow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beat")
	g := newFileRig(t, path)
	g.w.watcher.Errors <- fsnotify.ErrEventOverflow
	g.do("overflow", func() error { return nil }, func(FileLook) bool { return true })
	g.do("made", g.write(path, "x"), g.changed)
	g.do("written", g.write(path, "x"), g.changed)
}

// A file that is written all the time is looked at some times a second.
func TestFileWatcherGathers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beat")
	g := newFileRig(t, path)
	begin := time.Now()
	for time.Since(begin) < 10*gather {
		if err := g.write(path, "x")(); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(begin)
	g.do("the last write", g.write(path, "x"), g.changed)
	if n, most := len(g.got), int(took/gather)+2; n > most {
		t.Errorf("%d looks in %v", n, took)
	}
}

func TestFileWatcherIsBounded(t *testing.T) {
	w := NewFileWatcher(func(FileLook) {})
	dir := t.TempDir()
	for _, bad := range []string{"", "beat", "./beat", "/a\x00b", "/" + strings.Repeat("x", unix.PathMax)} {
		if err := w.Add(bad); err == nil {
			t.Errorf("%.20q was added", bad)
		}
	}
	for i := range MaxFiles {
		if err := w.Add(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add(filepath.Join(dir, "one more")); err == nil {
		t.Error("one too many")
	}
	same := filepath.Join(dir, "7")
	if err := w.Add(same); err != nil {
		t.Error(err)
	}
	w.Remove(same)
	w.Remove(filepath.Join(dir, "8"))
	w.Remove("/not/there")
	w.Look("/not/there")
	w.mu.Lock()
	n, users := len(w.files), w.files[same].users
	w.mu.Unlock()
	if n != MaxFiles-1 || users != 1 {
		t.Errorf("%d files, %d users", n, users)
	}
	if err := w.Close(patience); err != nil {
		t.Error(err)
	}
	if err := w.Close(patience); err != nil {
		t.Error(err)
	}
	w.Look(same)
}

// Without instances of inotify, or without watches, files are looked at all the
// same. The limits are those of a user namespace of a process of its own.
func TestFileWatcherWithoutInotify(t *testing.T) {
	for _, limit := range []string{"instances", "watches"} {
		c := exec.Command("/proc/self/exe")
		c.Env = []string{"WATCHDOG_ROLE=poor", "WATCHDOG_TEXT=" + limit, "WATCHDOG_FILE=" + filepath.Join(t.TempDir(), "beat"), "GORACE=atexit_sleep_ms=0"}
		id := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: id}
		out, err := c.CombinedOutput()
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
			t.Skip("needs user namespaces:", err)
		}
		if err != nil || !strings.Contains(string(out), "only looked at") || !strings.Contains(string(out), "max_user_"+limit) {
			t.Errorf("%s: %v: %s", limit, err, out)
		}
	}
}

// poor watches a file without inotify, and prints why.
func poor(limit, path string) error {
	if err := os.WriteFile("/proc/sys/user/max_inotify_"+limit, []byte("0"), 0o600); err != nil {
		return err
	}
	got := make(chan FileLook, 16)
	w := NewFileWatcher(func(l FileLook) { got <- l })
	if err := w.Add(path); err != nil {
		return err
	}
	if l := <-got; !l.Stamp.Missing() {
		return fmt.Errorf("%+v", l)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	w.Look(path)
	if l := <-got; l.Stamp.Missing() {
		return fmt.Errorf("%+v", l)
	}
	fmt.Println(w.Failure())
	return w.Close(patience)
}
