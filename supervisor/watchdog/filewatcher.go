package watchdog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
)

// MaxFiles is how many files one FileWatcher watches.
const MaxFiles = 4096

// gather is how long changes of a file are gathered before it is looked at, so
// that one that is written all the time costs ten looks a second.
const gather = 100 * time.Millisecond

// FileWatcher tells when files change, for any number of services: inotify(7)
// instances are few (fs.inotify.max_user_instances, 128 by default). It watches
// the directory of each file, or while that does not exist the nearest one above
// that does, so that a file may be renamed, replaced, deleted and made again, and
// its directory too. A symbolic link is followed; of a change behind one that is
// the file itself only a look tells. So it is when a directory further up is
// moved away, or when there are no watches left: each Look puts the watch right,
// and finds what no event told.
type FileWatcher struct {
	deliver func(FileLook)
	watcher *fsnotify.Watcher // nil: there is none to be had
	done    chan struct{}     // closed by the end of run
	closed  chan struct{}     // closed by Close
	looks   sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	files   map[string]*watched
	dirs    map[string]watchedDir // directories that are watched
	failure error                 // why some or all files are not watched
	dirty   bool                  // a round is due
}

// watched is one file.
type watched struct {
	users   int
	dir     string // that is watched for it; empty: none
	dirty   bool   // an event told of it since the last round
	looking bool   // a look is under way
	again   bool   // it was asked for another one meanwhile
}

type watchedDir struct {
	users         int
	device, inode uint64
}

// NewFileWatcher starts to watch. deliver gets the looks, on goroutines of the
// watcher, and may block. Without inotify, because the user has too many instances
// already, the files are looked at all the same: Failure says so.
func NewFileWatcher(deliver func(FileLook)) *FileWatcher {
	w := &FileWatcher{
		deliver: deliver, done: make(chan struct{}), closed: make(chan struct{}),
		files: map[string]*watched{}, dirs: map[string]watchedDir{},
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		w.failure = fmt.Errorf("cannot watch files, they are only looked at: %w", explain(err))
		close(w.done)
		return w
	}
	w.watcher = watcher
	go w.run()
	return w
}

// explain adds the name of the limit to an error of inotify.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w (see fs.inotify.max_user_instances)", err)
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w (see fs.inotify.max_user_watches)", err)
	}
	return err
}

// Failure says why files are not watched but only looked at; nil: they are.
func (w *FileWatcher) Failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// Add watches a file, by an absolute path, and looks at it. A file that two
// services name is to be added twice.
func (w *FileWatcher) Add(path string) error {
	if !filepath.IsAbs(path) || len(path) >= unix.PathMax || strings.ContainsRune(path, 0) {
		return fmt.Errorf("cannot watch %q: not an absolute path", path)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[path]
	if f == nil {
		if len(w.files) >= MaxFiles {
			return fmt.Errorf("cannot watch %s: more than %d files", path, MaxFiles)
		}
		f = &watched{}
		w.files[path] = f
	}
	f.users++
	w.look(path, f)
	return nil
}

// Remove ends an Add. A look that is under way may still be delivered.
func (w *FileWatcher) Remove(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[path]
	if f == nil {
		return
	}
	if f.users--; f.users == 0 {
		delete(w.files, path)
		w.release(f)
	}
}

// Look looks at a file, which is delivered. It does not wait: a file system that
// does not answer holds up nothing but that. Of a file that was not added nothing
// is told.
func (w *FileWatcher) Look(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.files[path]; f != nil {
		w.look(path, f)
	}
}

// Close ends all watching. It waits for looks that are under way, as long as
// patience lasts; one at a file system that does not answer is left behind.
func (w *FileWatcher) Close(patience time.Duration) error {
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		return nil
	}
	w.ended = true
	w.mu.Unlock()
	close(w.closed)
	var err error
	if w.watcher != nil {
		err = w.watcher.Close()
	}
	<-w.done
	over := make(chan struct{})
	go func() { w.looks.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(patience):
		err = errors.Join(err, errors.New("cannot wait for looks at files: their file system does not answer"))
	}
	return err
}

// look begins a look, if none is under way. The lock is held.
func (w *FileWatcher) look(path string, f *watched) {
	if w.ended {
		return
	}
	if f.looking {
		f.again = true
		return
	}
	f.looking = true
	w.looks.Go(func() {
		for {
			w.arm(path, f)
			l := FileLook{Path: path, At: clock.Boot(), Wall: time.Now()}
			l.Stamp, l.Failed = stampOf(path)
			w.deliver(l)
			w.mu.Lock()
			if !f.again || w.ended {
				f.looking = false
				w.mu.Unlock()
				return
			}
			f.again = false
			w.mu.Unlock()
		}
	})
}

// stampOf looks at a file. A missing one is no error.
func stampOf(path string) (FileStamp, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		return FileStamp{}, nil
	case err != nil:
		return FileStamp{}, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	return FileStamp{Device: st.Dev, Inode: st.Ino, Size: st.Size, Modified: time.Unix(st.Mtim.Unix())}, nil
}

// run takes the events of the kernel.
func (w *FileWatcher) run() {
	defer close(w.done)
	round := time.NewTimer(0)
	defer round.Stop()
	<-round.C
	for {
		select {
		case e, ok := <-w.watcher.Events:
			if !ok {
				return
			}
			if w.note(e) {
				round.Reset(gather)
			}
		case err, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			// Events were lost, or something happened that we do not know.
			_ = err
			if w.lost() {
				round.Reset(gather)
			}
		case <-round.C:
			w.round()
		}
	}
}

// note marks the files that an event may be about, and says whether a round is
// now to be begun.
func (w *FileWatcher) note(e fsnotify.Event) (begin bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.files[e.Name]; f != nil {
		f.dirty, begin = true, true
	}
	if _, ok := w.dirs[e.Name]; ok && e.Has(fsnotify.Remove|fsnotify.Rename) {
		w.drop(e.Name) // the kernel has
		begin = true
	}
	if e.Has(fsnotify.Create | fsnotify.Remove | fsnotify.Rename) {
		for path, f := range w.files {
			if strings.HasPrefix(path, e.Name+"/") {
				f.dirty, begin = true, true
			}
		}
	}
	return w.due(begin)
}

// lost has all files looked at, and watched anew.
func (w *FileWatcher) lost() (begin bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir := range w.dirs {
		w.drop(dir)
	}
	for _, f := range w.files {
		f.dirty = true
	}
	return w.due(len(w.files) > 0)
}

func (w *FileWatcher) due(begin bool) bool {
	if w.dirty || !begin {
		return false
	}
	w.dirty = true
	return true
}

// round looks at all files that events told of.
func (w *FileWatcher) round() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = false
	for path, f := range w.files {
		if f.dirty {
			f.dirty = false
			w.look(path, f)
		}
	}
}

// arm makes sure that the nearest directory of a file is watched. It may wait
// for the file system.
func (w *FileWatcher) arm(path string, f *watched) {
	if w.watcher == nil {
		return
	}
	// A directory that appears between looking and watching is found by the next turn.
	for range 10 {
		dir, id, err := nearest(path)
		if err != nil {
			return
		}
		if !w.watch(path, f, dir, id) {
			return
		}
	}
}

// nearest is the directory of a file, or the first above it that exists.
func nearest(path string) (string, watchedDir, error) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return "", watchedDir{}, fs.ErrInvalid
			}
			return dir, watchedDir{device: st.Dev, inode: st.Ino}, nil
		case dir == "/":
			return "", watchedDir{}, fs.ErrNotExist
		}
	}
}

// watch watches a directory for a file, and says whether something was changed by
// that, so that it is to be looked at again.
func (w *FileWatcher) watch(path string, f *watched, dir string, id watchedDir) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.files[path] != f {
		return false
	}
	now, ok := w.dirs[dir]
	if ok && (now.device != id.device || now.inode != id.inode) {
		// It was moved away and made again: the old watch is of the old one.
		w.drop(dir)
		ok = false
	}
	if f.dir == dir && ok {
		return false
	}
	if !ok {
		if err := w.watcher.Add(dir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				w.failure = fmt.Errorf("cannot watch directory %s, its files are only looked at: %w", dir, explain(err))
			}
			w.release(f)
			return false
		}
		now = id
	}
	w.release(f)
	now.users++
	w.dirs[dir], f.dir = now, dir
	return true
}

// release ends the use of a directory. The lock is held.
func (w *FileWatcher) release(f *watched) {
	d, ok := w.dirs[f.dir]
	if ok {
		if d.users--; d.users <= 0 {
			w.drop(f.dir)
		} else {
			w.dirs[f.dir] = d
		}
	}
	f.dir = ""
}

// drop ends the watch of a directory, for all its files. The lock is held.
func (w *FileWatcher) drop(dir string) {
	delete(w.dirs, dir)
	_ = w.watcher.Remove(dir) // which the kernel may have done already
	for _, f := range w.files {
		if f.dir == dir {
			f.dir, f.dirty = "", true
		}
	}
}
