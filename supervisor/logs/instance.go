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
	tail   tail              // guarded by output.mu, as is split
	split  [streams]splitter // up to date while there are followers
	watch  Watcher           // nil: nobody looks
}

// Lines returns the newest n lines, oldest first; all that are kept for n < 0.
// A line that is not complete yet comes last and is Partial.
func (i *Instance) Lines(n int) []Line {
	i.output.mu.Lock()
	defer i.output.mu.Unlock()
	all, split := i.tail.lines()
	for s := range streams {
		if sp := split[s]; sp.partial != nil {
			all = append(all, piece{text: sp.partial, at: sp.started}.line(s, true))
		}
	}
	return newest(all, n)
}

// Read starts to empty a pipe. The descriptor is duplicated: f, the read end,
// stays the caller's. It becomes non-blocking, for its other holders too; the
// writing end is not affected.
func (i *Instance) Read(s Stream, f *os.File) (*Reader, error) {
	if s >= streams {
		return nil, fmt.Errorf("cannot read stream %d: no such stream", s)
	}
	own, err := duplicate(f, true)
	if err == nil {
		err = readable(own)
	}
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
		r.instance.flush()
	}
	r.instance.output.finish(r.instance, r.stream)
	r.instance.flush()
	// A RawConn of a closed file answers with an error of an internal package.
	if r.closed.Load() {
		return
	}
	if err != nil {
		r.err = fmt.Errorf("cannot read %s of service %s: %w", r.stream, r.instance.output.options.Service, err)
	}
	_ = r.file.Close()
}

// next waits for bytes and passes them on. It asks how many there are, and
// reads no more: nothing is held while there is nothing to read, and a
// successor can tell whether the read happened.
func (r *Reader) next(raw syscall.RawConn) (more bool, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, err := available(int(fd))
		if n == 0 || err != nil {
			r.instance.output.kick()
		}
		if err == nil && n > 0 {
			_, err = r.instance.output.pull(r.instance, r.stream, int(fd), n)
		} else if err == nil && n == 0 {
			return true // the end
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, errClosed):
		case err == nil || errors.Is(err, unix.EINTR):
			more = true
		default:
			failed = err
		}
		return true
	})
	return more, errors.Join(err, failed)
}

// available returns how many bytes can be read; 0 at the end, EAGAIN when there
// are none yet.
func available(fd int) (int, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD, pipe(7)
	if n > 0 || err != nil {
		return n, err
	}
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(p, 0); err != nil {
		return 0, err
	}
	switch {
	case p[0].Revents&unix.POLLIN != 0: // since we asked
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		return max(n, 1), err
	case p[0].Revents&unix.POLLHUP != 0:
		return 0, nil
	case p[0].Revents != 0:
		return 0, unix.EBADF
	}
	return 0, unix.EAGAIN
}

// readable refuses what has nothing to read, which poll(2) would wait for.
func readable(f *os.File) error {
	raw, err := f.SyscallConn()
	if err == nil {
		var flags int
		var failed error
		err = raw.Control(func(fd uintptr) { flags, failed = unix.FcntlInt(fd, unix.F_GETFL, 0) })
		if err == nil && failed == nil && flags&unix.O_ACCMODE == unix.O_WRONLY {
			failed = unix.EBADF
		}
		err = errors.Join(err, failed)
	}
	if err != nil {
		_ = f.Close()
	}
	return err
}
