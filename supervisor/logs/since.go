package logs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// maxDecode bounds the memory that a compressed file may ask for.
const maxDecode = 64 << 20

// History is what a log and its rotated files hold from some moment on.
type History struct {
	// Notes say what could not be found by time: then there is more than was
	// asked for, never less.
	Notes []string
	parts []part // newest first
}

// part is one file, from an offset of its uncompressed bytes on.
type part struct {
	f      *os.File
	packed bool
	offset int64
}

// Since opens what the service has said at or after a moment: the log at path
// and its rotated files, compressed or not. The begin is exact to a second or
// 64 KiB of output (twice that for every doubling of a file beyond 256 MiB), and
// to a line. Close ends it.
func Since(path string, at time.Time) (*History, error) {
	h := &History{}
	seen := map[uint64]bool{}
	var missing error
	found := false
	for _, name := range append([]string{path}, rotated(path)...) {
		more, err := h.add(path, name, at, seen)
		if errors.Is(err, os.ErrNotExist) {
			missing = err // rotated or compressed meanwhile, or not begun yet
			continue
		}
		if err != nil {
			h.Close()
			return nil, err
		}
		found = true
		if !more {
			break
		}
	}
	if !found {
		return nil, missing
	}
	return h, nil
}

// rotated returns the names of the rotated files, newest first. Where a file is
// being compressed both names are there: the original counts.
func rotated(path string) []string {
	var names []string
	for i := 1; ; i++ {
		name := path + "." + strconv.Itoa(i)
		switch {
		case isThere(name):
		case isThere(name + packed):
			name += packed
		default:
			return names
		}
		names = append(names, name)
	}
}

// add opens one file; more is false when nothing older is wanted.
func (h *History) add(path, name string, at time.Time, seen map[uint64]bool) (more bool, err error) {
	f, err := os.OpenFile(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return true, fmt.Errorf("cannot open log: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("cannot open log: %s is no regular file", name)
	}
	// Rotated while we looked: it was here already. The kernel's time of a
	// file is up to a tick behind (coarse clock).
	if err != nil || seen[inodeOf(st)] || st.ModTime().Add(time.Second).Before(at) {
		_ = f.Close()
		return err != nil || seen[inodeOf(st)], err
	}
	seen[inodeOf(st)] = true
	p := part{f: f, packed: strings.HasSuffix(name, packed)}
	entries, err := p.entries(path, inodeOf(st), st.Size())
	if err != nil {
		h.Notes = append(h.Notes, fmt.Sprintf("%s is shown as a whole: %v", filepath.Base(name), err))
	}
	offset, ok := find(entries, at.UnixNano())
	p.offset = offset
	h.parts = append(h.parts, p)
	return !ok, nil
}

// entries finds the index of a file.
func (p part) entries(path string, inode uint64, size int64) ([]entry, error) {
	if p.packed {
		b, err := indexFrame(p.f)
		if err != nil {
			return nil, err
		}
		_, entries, err := decodeIndex(b)
		return entries, err
	}
	for _, name := range []string{currentIndex(path), indexOf(path, inode)} {
		b, err := readIndex(name)
		if err != nil {
			continue
		}
		of, entries, err := decodeIndex(b)
		if of != inode && err == nil {
			continue
		}
		if n := len(entries); err == nil && n > 0 && entries[n-1].offset > size {
			err = errIndex
		}
		if err != nil {
			return nil, err
		}
		return entries, nil
	}
	return nil, errors.New("it has no time index")
}

// indexFrame reads the first frame of a compressed file.
func indexFrame(f io.ReaderAt) ([]byte, error) {
	var head [8]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("cannot read time index: %w", err)
	}
	size := binary.LittleEndian.Uint32(head[4:])
	if binary.LittleEndian.Uint32(head[:]) != skippableMagic || size > maxIndexSize {
		return nil, errors.New("it has no time index")
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, int64(len(head))); err != nil {
		return nil, fmt.Errorf("cannot read time index: %w", err)
	}
	return b, nil
}

// WriteTo writes everything, oldest first, beginning with a whole line.
func (h *History) WriteTo(w io.Writer) (written int64, err error) {
	for i := len(h.parts) - 1; i >= 0; i-- {
		n, err := h.parts[i].writeTo(w)
		written += n
		if err != nil {
			return written, fmt.Errorf("cannot show %s: %w", filepath.Base(h.parts[i].f.Name()), err)
		}
	}
	return written, nil
}

func (p part) writeTo(w io.Writer) (int64, error) {
	r, err := p.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	if p.offset == 0 {
		return io.Copy(w, r)
	}
	// From the end of the line that was begun before.
	if _, err := io.CopyN(io.Discard, r, p.skipped()); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		_, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return io.Copy(w, b)
	}
}

// skipped is what has to be read and thrown away: nothing of a plain file.
func (p part) skipped() int64 {
	if p.packed {
		return p.offset - 1
	}
	return 0
}

func (p part) open() (io.ReadCloser, error) {
	if !p.packed {
		_, err := p.f.Seek(max(0, p.offset-1), io.SeekStart)
		return io.NopCloser(p.f), err
	}
	d, err := zstd.NewReader(p.f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxDecode))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// Close closes the files.
func (h *History) Close() {
	for _, p := range h.parts {
		_ = p.f.Close()
	}
	h.parts = nil
}
