package logs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// The window is what a reader needs as memory, and so do we.
const packWindow = 1 << 20

// skippableMagic begins a frame that every zstd decoder passes over (RFC 8878,
// 3.1.2). Ours comes first and holds the time index.
const skippableMagic = 0x184D2A50

// errStopped says that the Compressor was closed meanwhile.
var errStopped = errors.New("logs: compression was stopped")

// Compressor compresses rotated files of any number of services, one at a time,
// on a thread of the lowest priority. The zero value is ready to use; a
// goroutine exists only while there is work.
type Compressor struct {
	stop atomic.Bool

	mu      sync.Mutex
	waiting []job         // no file twice
	done    chan struct{} // closed when the goroutine ends; nil: there is none
}

type job struct {
	file *file
	pack bool // not only clean up
}

// add asks for the rotated files of a log to be compressed, or only for what a
// predecessor left to be put in order.
func (c *Compressor) add(l *file, pack bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop.Load() {
		return
	}
	if i := slices.IndexFunc(c.waiting, func(j job) bool { return j.file == l }); i >= 0 {
		c.waiting[i].pack = c.waiting[i].pack || pack
		return
	}
	c.waiting = append(c.waiting, job{l, pack})
	if c.done == nil {
		c.done = make(chan struct{})
		go c.work(c.done)
	}
}

// Close stops the work and waits for the goroutine, or for ctx. A file that was
// being compressed stays as it was.
func (c *Compressor) Close(ctx context.Context) error {
	c.stop.Store(true)
	return c.wait(ctx, "stop compressing in time")
}

// Flush waits until all that was asked for is done.
func (c *Compressor) Flush(ctx context.Context) error { return c.wait(ctx, "compress all in time") }

func (c *Compressor) wait(ctx context.Context, what string) error {
	c.mu.Lock()
	done := c.done
	c.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot %s: %w", what, ctx.Err())
	}
}

func (c *Compressor) work(done chan struct{}) {
	// The thread ends with the goroutine, since its priority cannot be raised
	// again.
	runtime.LockOSThread()
	tid := unix.Gettid()
	_ = unix.Setpriority(unix.PRIO_PROCESS, tid, 19)
	const idle, who = 3 << 13, 1 // IOPRIO_CLASS_IDLE, IOPRIO_WHO_PROCESS: ioprio_set(2)
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, who, uintptr(tid), idle)
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 || c.stop.Load() {
			c.waiting, c.done = nil, nil
			c.mu.Unlock()
			close(done)
			return
		}
		next := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		c.mu.Unlock()
		if next.file.settle() || next.pack {
			next.file.packAll(&c.stop)
		}
	}
}

// packAll compresses every rotated file that is not.
func (l *file) packAll(stop *atomic.Bool) {
	for {
		f, err := l.unpacked()
		if f == nil && err == nil {
			return
		}
		if err == nil {
			err = l.pack(f, stop)
			_ = f.Close()
		}
		l.mu.Lock()
		l.packing = err
		l.mu.Unlock()
		if err != nil {
			_ = os.Remove(l.scratch())
			return
		}
	}
}

// unpacked opens the oldest rotated file that is not compressed; nil if there
// is none.
func (l *file) unpacked() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := l.keep; i > 0; i-- {
		st, err := os.Lstat(l.numbered(i))
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		f, err := os.OpenFile(l.numbered(i), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, fmt.Errorf("cannot open log to compress: %w", err)
		}
		return f, nil
	}
	return nil, nil
}

// pack makes a compressed file beside f, on the disk for good before it gets
// its name; only then the original goes.
func (l *file) pack(f *os.File, stop *atomic.Bool) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot compress log: %w", err)
	}
	if err := (Free{Bytes: st.Size() / 4}).check(int(f.Fd())); err != nil {
		return fmt.Errorf("cannot compress log: %w", err)
	}
	_ = os.Remove(l.scratch())
	out, err := os.OpenFile(l.scratch(), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("cannot compress log: %w", err)
	}
	err = l.fill(out, f, inodeOf(st), stop)
	if err == nil {
		err = like(out, st)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("cannot compress log: %w", err)
	}
	_ = os.Chtimes(l.scratch(), st.ModTime(), st.ModTime()) // --since looks at it
	return l.replace(st)
}

// fill writes the index and the compressed bytes.
func (l *file) fill(out, in *os.File, inode uint64, stop *atomic.Bool) error {
	if b, err := readIndex(indexOf(l.path, inode)); err == nil {
		head := binary.LittleEndian.AppendUint32(nil, skippableMagic)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(b)))
		if _, err := out.Write(append(head, b...)); err != nil {
			return err
		}
	}
	enc, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(packWindow))
	if err != nil {
		return err
	}
	_, err = io.Copy(enc, stoppable{in, stop})
	return errors.Join(err, enc.Close())
}

// stoppable is a reader that ends when it is told to.
type stoppable struct {
	r    io.Reader
	stop *atomic.Bool
}

func (s stoppable) Read(p []byte) (int, error) {
	if s.stop.Load() {
		return 0, errStopped
	}
	return s.r.Read(p)
}

// like gives the owner and the mode of the original.
func like(f *os.File, st os.FileInfo) error {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(st.Mode().Perm())
}

// replace puts the compressed file in the place of the original, whatever its
// number is by now.
func (l *file) replace(original os.FileInfo) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 1; i <= l.keep; i++ {
		st, err := os.Lstat(l.numbered(i))
		if err != nil || !os.SameFile(st, original) {
			continue
		}
		if err := os.Rename(l.scratch(), l.numbered(i)+packed); err != nil {
			return fmt.Errorf("cannot name compressed log: %w", err)
		}
		if err := os.Remove(l.numbered(i)); err != nil {
			return fmt.Errorf("cannot remove compressed original: %w", err)
		}
		_ = os.Remove(indexOf(l.path, inodeOf(original)))
		return nil
	}
	// It was the oldest, and has gone meanwhile.
	return os.Remove(l.scratch())
}
