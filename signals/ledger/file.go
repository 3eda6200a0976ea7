package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxFile is the size at which a file is rotated, in bytes. Two are kept.
const maxFile = 1 << 20

// file is the open end of the ledger. Its owner is one goroutine.
type file struct {
	path  string
	limit int64
	f     *os.File
	size  int64
	torn  bool // the last line has no end
}

func (f *file) old() string { return f.path + ".1" }

// open opens or makes the file; nothing but a regular one will do.
func (f *file) open() error {
	// O_NONBLOCK: a FIFO in its place must not hang us.
	o, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the ledger: %w", err)
	}
	info, err := o.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		_ = o.Close() // nothing was written
		return fmt.Errorf("cannot open the ledger %s: %w", f.path, err)
	}
	f.f, f.size, f.torn = o, info.Size(), false
	if f.size > 0 {
		var last [1]byte
		_, err := o.ReadAt(last[:], f.size-1)
		f.torn = err != nil || last[0] != '\n'
	}
	return nil
}

func (f *file) close() {
	if f.f != nil {
		_ = f.f.Close() // every write has reported its own error
		f.f = nil
	}
}

func (f *file) reopen() error {
	f.close()
	return f.open()
}

// write appends a whole line, or nothing.
func (f *file) write(line []byte) error {
	if f.f == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if f.size > 0 && f.size+int64(len(line)) >= f.limit {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	if f.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.f.Write(line)
	if err == nil {
		f.size += int64(n)
		f.torn = false
		return nil
	}
	if n > 0 && f.f.Truncate(f.size) != nil {
		f.size += int64(n)
		f.torn = true
	}
	return fmt.Errorf("cannot write the ledger: %w", err)
}

// rotate makes room. If the file cannot be renamed it is emptied: its size is a
// promise.
func (f *file) rotate() error {
	err := os.Rename(f.path, f.old())
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return f.reopen()
	}
	if err := f.f.Truncate(0); err != nil {
		return fmt.Errorf("cannot rotate the ledger: %w", err)
	}
	f.size, f.torn = 0, false
	return nil
}

// tail reads the end of a file, at most limit bytes; none when there is none.
func tail(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the ledger: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("cannot read the ledger %s: it is not a regular file", path), err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-limit), limit))
	if err != nil {
		return b, fmt.Errorf("cannot read the ledger: %w", err)
	}
	return b, nil
}
