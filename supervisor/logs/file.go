package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
)

// How often free space is asked for.
const (
	checkBytes = 256 << 10
	checkGap   = time.Second
)

// file is the log on disk: raw bytes, appended, rotated by size to path.1 (the
// newest) up to path.<keep>, each either as it was or compressed.
type file struct {
	path       string
	mode       fs.FileMode
	maxSize    int64 // 0: no limit
	keep       int
	minFree    Free
	compressor *Compressor // nil: nothing is compressed

	mu      sync.Mutex // a reopen and a compression come from other goroutines
	f       *os.File   // nil: to be opened by the next write
	size    int64
	inode   uint64
	index   index
	checked time.Duration // CLOCK_BOOTTIME of the last look at free space
	since   int64         // bytes written after it
	packing error         // why the last compression failed
}

func (l *file) write(c *chunk, end int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c.start() < end {
		if err := l.step(c, end); err != nil {
			// Opened anew by the next try: the file system may have been
			// mounted again, the directory replaced.
			_ = l.shut()
			return err
		}
	}
	return nil
}

// step writes as much of the chunk as this file may take, or rotates.
func (l *file) step(c *chunk, end int) error {
	if l.f == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if err := l.checkFree(end - c.start()); err != nil {
		return err
	}
	part := l.portion(c.data[c.start():end])
	if len(part) == 0 {
		return l.rotate()
	}
	c.writing(l.inode, l.size, len(part))
	n, err := l.f.Write(part)
	c.wrote(n)
	l.grown(n, int64(c.wall.Load()))
	if errors.Is(err, unix.ENOSPC) && l.removeOldest() {
		return nil // once more
	}
	if err != nil {
		return fmt.Errorf("cannot write log: %w", err)
	}
	return nil
}

// grown counts n written bytes. With O_APPEND the offset after a write is the
// size: when it is not what it should be, somebody has truncated the file
// (copytruncate of logrotate(8)).
func (l *file) grown(n int, wall int64) {
	if n <= 0 {
		return
	}
	before := l.size
	l.size += int64(n)
	l.since += int64(n)
	if at, err := l.f.Seek(0, io.SeekCurrent); err == nil && at != l.size {
		if at < l.size {
			l.index.begin(l.path, l.inode)
		}
		before, l.size = at-int64(n), at
	}
	l.index.note(wall, before)
}

// portion is how much of p goes to the current file: whole lines, unless one
// line is larger than a file.
func (l *file) portion(p []byte) []byte {
	room := l.maxSize - l.size
	if l.maxSize <= 0 || int64(len(p)) <= room {
		return p
	}
	if room > 0 {
		if end := bytes.LastIndexByte(p[:room], '\n') + 1; end > 0 {
			return p[:end]
		}
	}
	if l.size == 0 {
		return p[:room]
	}
	return nil
}

// checkFree looks at the free space now and then, and makes some by removing
// the oldest rotated files.
func (l *file) checkFree(n int) error {
	now := clock.Boot()
	if l.since+int64(n) < checkBytes && now-l.checked < checkGap && l.checked != 0 {
		return nil
	}
	l.checked, l.since = now, 0
	for {
		err := l.minFree.check(int(l.f.Fd()))
		if err == nil {
			return nil
		}
		var floor *ErrFloor
		if !errors.As(err, &floor) {
			return nil // a file system that does not tell is no reason to stop
		}
		if !l.removeOldest() {
			l.checked = 0
			return fmt.Errorf("cannot write log: %w", err)
		}
	}
}

// open never follows a link and never waits for a FIFO: the directory may
// belong to the service's user.
func (l *file) open() error {
	f, err := os.OpenFile(l.path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK, l.mode)
	if err != nil {
		return fmt.Errorf("cannot open log: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", l.path)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("cannot open log: %w", err)
	}
	l.f, l.size, l.inode = f, st.Size(), inodeOf(st)
	l.index.resume(l.path, l.inode, l.size)
	return nil
}

func inodeOf(st fs.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}

func (l *file) shut() error {
	l.index.close()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// reopen closes the file, which somebody may have moved, and opens the path.
func (l *file) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.inode
	if err := errors.Join(l.shut(), l.open()); err != nil {
		return err
	}
	if before != 0 && before != l.inode {
		l.sweepIndexes()
	}
	return nil
}

// stale names the descriptor if the path is another file by now.
func (l *file) stale() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	open, err := l.f.Stat()
	if err != nil {
		return []string{fmt.Sprintf("%s (unknown: %v)", l.path, err)}
	}
	if there, err := os.Stat(l.path); err == nil && os.SameFile(open, there) {
		return nil
	}
	fd := fmt.Sprintf("/proc/self/fd/%d", l.f.Fd())
	target, err := os.Readlink(fd) // proc_pid_fd(5): ends with " (deleted)" if it has no name
	if err != nil {
		target = "unknown"
	}
	return []string{fmt.Sprintf("descriptor %d of %s points at %s", l.f.Fd(), l.path, target)}
}

// sizeOf finds the file that a predecessor has written to: since its last write
// it may have been rotated once.
func (l *file) sizeOf(inode uint64) (int64, bool) {
	for _, path := range []string{l.path, l.numbered(1)} {
		if st, err := os.Lstat(path); err == nil && inodeOf(st) == inode {
			return st.Size(), true
		}
	}
	return 0, false
}

func (l *file) compressError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.packing
}

func (l *file) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shut()
}
