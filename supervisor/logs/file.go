package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// file is the log on disk: raw bytes, appended, rotated by size to path.1 (the
// newest) up to path.<keep>.
type file struct {
	path    string
	mode    fs.FileMode
	maxSize int64 // 0: no limit
	keep    int

	mu   sync.Mutex // a reopen comes from another goroutine
	f    *os.File   // nil: to be opened by the next write
	size int64
}

func (l *file) write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := 0
	for done < len(p) {
		n, err := l.step(p[done:])
		done += n
		if err != nil {
			// Opened anew by the next try: the file system may have been
			// mounted again, the directory replaced.
			_ = l.shut()
			return done, err
		}
	}
	return done, nil
}

// step writes as much of p as this file may take, or rotates.
func (l *file) step(p []byte) (int, error) {
	if l.f == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	part := l.portion(p)
	if len(part) == 0 {
		return 0, l.rotate()
	}
	n, err := l.f.Write(part)
	l.size += int64(n)
	return n, err
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
	l.f, l.size = f, st.Size()
	return nil
}

func (l *file) shut() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// rotate moves every file up by one; the oldest is overwritten. When that does
// not work the log stops growing: it is bounded before it is complete.
func (l *file) rotate() error {
	if err := l.shut(); err != nil {
		return fmt.Errorf("cannot close full log: %w", err)
	}
	if l.keep <= 0 {
		if err := os.Remove(l.path); err != nil {
			return fmt.Errorf("cannot remove full log: %w", err)
		}
	}
	for i := l.keep; i > 0; i-- {
		err := os.Rename(l.numbered(i-1), l.numbered(i))
		if err != nil && !(i > 1 && errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("cannot rotate log: %w", err)
		}
	}
	// What an earlier configuration kept beyond the present count.
	for i := l.keep + 1; os.Remove(l.numbered(i)) == nil; i++ {
	}
	return nil
}

func (l *file) numbered(i int) string {
	if i == 0 {
		return l.path
	}
	return l.path + "." + strconv.Itoa(i)
}

// reopen closes the file, which somebody may have moved, and opens the path.
func (l *file) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.shut(), l.open())
}

func (l *file) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shut()
}
