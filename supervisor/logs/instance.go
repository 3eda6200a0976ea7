package logs

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Instance is the output of one run of a service.
type Instance struct {
	output *Output
	tail   tail // guarded by output.mu, as is split
	split  [streams]splitter
}

// Lines returns the newest n lines, oldest first; all that are kept for n < 0.
// A line that is not complete yet comes last and is Partial.
func (i *Instance) Lines(n int) []Line {
	i.output.mu.Lock()
	defer i.output.mu.Unlock()
	all := i.tail.last(n)
	for s := range streams {
		if sp := i.split[s]; sp.partial != nil {
			all = append(all, piece{text: sp.partial, at: sp.started}.line(s, true))
		}
	}
	if n >= 0 && len(all) > n {
		all = all[len(all)-n:]
	}
	return all
}

// Read starts to empty a pipe. The descriptor is duplicated: f, the read end,
// stays the caller's. It becomes non-blocking, for its other holders too; the
// writing end is not affected.
func (i *Instance) Read(s Stream, f *os.File) (*Reader, error) {
	if s >= streams {
		return nil, fmt.Errorf("cannot read stream %d: no such stream", s)
	}
	own, err := duplicate(f, true)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of service %s: %w", s, i.output.options.Service, err)
	}
	r := &Reader{instance: i, stream: s, file: own, done: make(chan struct{})}
	go r.run()
	return r, nil
}

// Reader empties one pipe on a goroutine of its own.
type Reader struct {
	instance *Instance
	stream   Stream
	file     *os.File
	closed   atomic.Bool
	done     chan struct{}
	err      error // written before done is closed
}

// Close stops reading and does not wait. What was not read stays in the pipe,
// for its other holders or for the successor of this process.
func (r *Reader) Close() error {
	r.closed.Store(true)
	return r.file.Close()
}

// Done is closed when nothing more will come: all writers of the pipe are gone,
// or Close was called, or reading failed.
func (r *Reader) Done() <-chan struct{} { return r.done }

// Err says why reading failed; nil before Done, at the end of the output and
// after Close.
func (r *Reader) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

func (r *Reader) run() {
	defer close(r.done)
	more, err := true, error(nil)
	raw, err := r.file.SyscallConn()
	for err == nil && more {
		r.instance.output.await()
		more, err = r.next(raw)
	}
	r.instance.output.finish(r.instance, r.stream)
	// A RawConn of a closed file answers with an error of an internal package.
	if r.closed.Load() {
		return
	}
	if err != nil {
		r.err = fmt.Errorf("cannot read %s of service %s: %w", r.stream, r.instance.output.options.Service, err)
	}
	_ = r.file.Close()
}

// next waits for bytes and passes them on. A buffer is held only while there
// are some.
func (r *Reader) next(raw syscall.RawConn) (more bool, err error) {
	var failed error
	buffers := r.instance.output.options.Buffers
	err = raw.Read(func(fd uintptr) bool {
		b := buffers.read()
		defer buffers.reads.Put(b)
		n, err := unix.Read(int(fd), b[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.EINTR):
			more = true
		case err != nil:
			failed = err
		case n > 0:
			more = true
			r.instance.output.ingest(r.instance, r.stream, b[:n])
		}
		return true
	})
	return more, errors.Join(err, failed)
}
