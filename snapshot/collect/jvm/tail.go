package jvm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// tail is what is written to a file from now on. When the file is rotated (it
// was renamed, and a new one has its name) or truncated, it goes on there.
type tail struct {
	name string
	file *os.File
	info os.FileInfo
	at   int64
	text []byte
	came time.Time // when something came last
}

// openTail opens a regular file at its end, and waits for nothing should it be
// something else.
func openTail(name string) (*tail, error) {
	t := &tail{name: name}
	if err := t.open(); err != nil {
		return nil, err
	}
	t.at = t.info.Size()
	return t, nil
}

func (t *tail) open() error {
	f, err := os.OpenFile(t.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("no regular file")
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	t.file, t.info, t.at = f, info, 0
	return nil
}

func (t *tail) close() { _ = t.file.Close() }

func (t *tail) same(o *tail) bool { return os.SameFile(t.info, o.info) }

// more takes what has come.
func (t *tail) more() {
	// Asked before the reading: what was written before the rotation is there then.
	now, err := os.Stat(t.name)
	rotated := err == nil && now.Mode().IsRegular() && !os.SameFile(now, t.info)
	t.read()
	if rotated {
		before := t.file
		if t.open() == nil {
			_ = before.Close()
			t.read()
		}
	}
}

func (t *tail) read() {
	if info, err := t.file.Stat(); err == nil && info.Size() < t.at {
		t.at = 0 // truncated
	}
	buf := make([]byte, 256<<10)
	for len(t.text) < maxAnswer {
		n, err := t.file.ReadAt(buf, t.at)
		t.text = append(t.text, buf[:n]...)
		t.at += int64(n)
		if n > 0 {
			t.came = time.Now()
		}
		if err != nil || n == 0 {
			return // the end, or a disk that fails: what there is will do
		}
	}
}

// over: all of a dump has come. Its threads are, when the number of global
// references has come; then follow deadlocks and the heap, if they do.
func (t *tail) over() bool {
	_, dump, found := bytes.Cut(t.text, []byte(dumpBegin))
	if !found {
		return false
	}
	_, rest, found := bytes.Cut(dump, []byte("\nJNI global ref"))
	if !found {
		return false
	}
	_, heap, found := bytes.Cut(rest, []byte("\nHeap\n"))
	return found && bytes.Contains(heap, []byte("\n\n")) || time.Since(t.came) > quiet || len(t.text) >= maxAnswer
}

// readAll reads a file of at most so many bytes.
func readAll(f *os.File, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return b[:limit], errors.New("cannot read " + f.Name() + ": it is too large")
	}
	return b, err
}
