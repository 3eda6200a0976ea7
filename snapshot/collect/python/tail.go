package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what is read of the output.
const (
	maxText  = 4 << 20
	maxFiles = 8
)

// tails are the files that a program's output goes to, from where they ended.
type tails struct {
	list []*tail
}

// tail is one file.
type tail struct {
	file     *os.File
	dev, ino uint64
	from     int64
}

// openTails opens the named files and those behind the descriptors 1 and 2.
func openTails(pid int, names []string) *tails {
	names = append(names[:len(names):len(names)], fmt.Sprintf("/proc/%d/fd/2", pid), fmt.Sprintf("/proc/%d/fd/1", pid))
	ts := &tails{}
	for _, name := range names {
		one, err := openTail(name)
		if err != nil {
			continue // a pipe or a terminal, mostly
		}
		if ts.has(one) || len(ts.list) == maxFiles {
			_ = one.file.Close() // opened for reading
			continue
		}
		ts.list = append(ts.list, one)
	}
	return ts
}

func openTail(name string) (*tail, error) {
	// Opening a device can do something.
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = file.Close() // opened for reading
		return nil, errors.New("not a regular file")
	}
	return &tail{file: file, dev: st.Dev, ino: st.Ino, from: st.Size}, nil
}

func (ts *tails) has(one *tail) bool {
	for _, t := range ts.list {
		if t.dev == one.dev && t.ino == one.ino {
			return true
		}
	}
	return false
}

func (ts *tails) close() {
	for _, t := range ts.list {
		_ = t.file.Close() // opened for reading
	}
}

// text is what the file with a report of faulthandler has got since.
func (ts *tails) text() []byte {
	for _, t := range ts.list {
		from := t.from
		if st, err := t.file.Stat(); err == nil && st.Size() < from {
			from = 0 // truncated meanwhile, as logrotate's copytruncate does
		}
		b, err := io.ReadAll(io.NewSectionReader(t.file, from, maxText))
		if err == nil && (bytes.HasPrefix(b, header) || bytes.Contains(b, append([]byte{'\n'}, header...)) || bytes.Contains(b, current)) {
			return b
		}
	}
	return nil
}

// The report of faulthandler has no end mark: it is over when nothing is added
// for quietTime. It writes each line directly, 100 threads in about 10 ms.
const (
	quietTime = 60 * time.Millisecond
	lookTime  = 5 * time.Millisecond
)

// quiet waits until a report has come and grows no more.
func (c *collector) quiet(ctx context.Context, files *tails) []byte {
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	var text []byte
	since := time.Now()
	for {
		now := files.text()
		if len(now) != len(text) {
			text, since = now, time.Now()
		}
		if len(text) > 0 && time.Since(since) >= quietTime {
			return text
		}
		select {
		case <-ctx.Done():
			return text
		case <-tick.C:
		}
	}
}

// dead waits until the process is.
func (c *collector) dead(ctx context.Context, files *tails) []byte {
	_ = c.fd.Dead(ctx) // at the limit what there is counts
	return files.text()
}
