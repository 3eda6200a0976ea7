package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// DefaultEcho is how many bytes wait for a slow terminal.
const DefaultEcho = 256 << 10

// Echo shows output on our own standard output or error. A terminal that is
// stopped, or a pipe that nobody reads, loses bytes; it blocks neither the
// service nor vigil. It may be shared by any number of services.
type Echo struct {
	queue   *queue
	sources atomic.Int64
}

// NewEcho writes to a duplicate of f; f stays the caller's. limit is how many
// bytes may wait, 0 is DefaultEcho. The duplicate has a number above 2, since
// the Go runtime ends the process when a write to 1 or 2 finds a broken pipe.
func NewEcho(f *os.File, limit int) (*Echo, error) {
	own, err := duplicate(f, false)
	if err != nil {
		return nil, fmt.Errorf("cannot echo to %s: %w", f.Name(), err)
	}
	if limit <= 0 {
		limit = DefaultEcho
	}
	return &Echo{queue: newQueue(&terminal{file: own}, limit, new(Buffers))}, nil
}

// Dropped returns what was lost because the other side was slow or gone.
func (e *Echo) Dropped() Loss {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	return e.queue.lost
}

// Flush waits until all is written, or ctx ends.
func (e *Echo) Flush(ctx context.Context) error { return e.queue.flush(ctx) }

// Close writes what waits and ends; when ctx ends before that, the rest is
// left to a goroutine that may never end.
func (e *Echo) Close(ctx context.Context) error { return e.queue.close(ctx) }

// terminal is the sink of an Echo.
type terminal struct {
	file *os.File
	gone bool
}

func (t *terminal) write(c *chunk, end int) error {
	if t.gone {
		return unix.EPIPE
	}
	n, err := t.file.Write(c.data[c.start():end])
	c.wrote(n)
	// Nobody will ever read: not worth another try.
	t.gone = errors.Is(err, unix.EPIPE)
	return err
}

func (t *terminal) close() error { return t.file.Close() }

// channel is what one service says through an Echo, with a prefix before each
// line if there are several services.
type channel struct {
	echo    *Echo
	source  int
	prefix  []byte
	midLine bool
}

func (e *Echo) channel(prefix string) *channel {
	return &channel{echo: e, source: int(e.sources.Add(1)), prefix: []byte(prefix)}
}

func (c *channel) append(p []byte) {
	if len(c.prefix) == 0 {
		c.echo.queue.append(c.source, p)
		return
	}
	var b bytes.Buffer
	for len(p) > 0 {
		if !c.midLine {
			b.Write(c.prefix)
		}
		end := bytes.IndexByte(p, '\n') + 1
		c.midLine = end == 0
		if c.midLine {
			end = len(p)
		}
		b.Write(p[:end])
		p = p[end:]
	}
	c.echo.queue.append(c.source, b.Bytes())
}

// duplicate returns a close-on-exec duplicate of f above the standard
// descriptors. It is asked for by number, so that f keeps its mode.
func duplicate(f *os.File, nonblock bool) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var own int
	var dupErr error
	if err := raw.Control(func(fd uintptr) { own, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, dupErr
	}
	if nonblock {
		if err := unix.SetNonblock(own, true); err != nil {
			_ = unix.Close(own)
			return nil, err
		}
	}
	return os.NewFile(uintptr(own), f.Name()), nil
}
