package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An index file: the magic, the inode of the log, then entries. All numbers are
// little endian.
const (
	indexMagic   = 0x0158444956 // "VIDX", version
	indexHead    = 16
	entrySize    = 16
	maxEntries   = 4096
	maxIndexSize = indexHead + maxEntries*entrySize
	indexStep    = 64 << 10 // an entry at most every so many bytes or
	indexGap     = time.Second
)

// errIndex says that an index cannot be used.
var errIndex = errors.New("logs: damaged time index")

// entry says that the byte at offset, and what follows, was read at that time
// or later.
type entry struct{ wall, offset int64 }

// index writes the times of a log beside it, to .NAME.log.index. It is a help
// for readers and never fails: without it they read everything. Twice as thin
// whenever it is full, it stays below 64 KiB.
type index struct {
	f     *os.File // nil: there is none
	count int
	last  entry
	step  int64 // bytes
	gap   int64 // nanoseconds
}

// currentIndex is the name while the log is being written, indexOf afterwards:
// by the inode, since others may rename a log.
func currentIndex(path string) string {
	dir, base := filepath.Split(path)
	return dir + "." + base + ".index"
}

func indexOf(path string, inode uint64) string {
	return currentIndex(path) + "." + strconv.FormatUint(inode, 16)
}

// resume goes on with the index of a file that has size bytes, or begins one.
func (x *index) resume(path string, inode uint64, size int64) {
	x.close()
	name := currentIndex(path)
	b, err := readIndex(name)
	if err == nil {
		of, entries, err := decodeIndex(b)
		n := len(entries)
		switch {
		case err == nil && of == inode && (n == 0 || entries[n-1].offset <= size):
			x.reuse(name, entries)
			return
		case of != inode && of != 0:
			// The log was moved away; its index waits under its number.
			_ = os.Rename(name, indexOf(path, of))
		}
	}
	x.begin(path, inode)
}

func (x *index) reuse(name string, entries []entry) {
	f, err := os.OpenFile(name, unix.O_RDWR|unix.O_APPEND|unix.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	x.f, x.count, x.step, x.gap = f, len(entries), indexStep, int64(indexGap)
	if x.count > 0 {
		x.last = entries[x.count-1]
	}
	// Of a half entry at the end nothing is kept.
	_ = f.Truncate(int64(indexHead + x.count*entrySize))
}

// begin makes an empty index.
func (x *index) begin(path string, inode uint64) {
	x.close()
	name := currentIndex(path)
	_ = os.Remove(name)
	f, err := os.OpenFile(name, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return
	}
	if _, err := f.Write(encodeIndex(inode, nil)); err != nil {
		_ = f.Close()
		_ = os.Remove(name)
		return
	}
	*x = index{f: f, step: indexStep, gap: int64(indexGap)}
}

// note is told of bytes written at offset, the first of which was read at wall.
func (x *index) note(wall, offset int64) {
	if x.f == nil {
		return
	}
	wall = max(wall, x.last.wall) // the clock may be set back
	if x.count > 0 && offset-x.last.offset < x.step && wall-x.last.wall < x.gap {
		return
	}
	if x.count >= maxEntries && !x.thin() {
		return
	}
	e := entry{wall, offset}
	if _, err := x.f.Write(appendEntry(nil, e)); err != nil {
		x.close() // what is there stays true
		return
	}
	x.last = e
	x.count++
}

// thin keeps every second entry.
func (x *index) thin() bool {
	b := make([]byte, maxIndexSize)
	n, err := x.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	inode, entries, err := decodeIndex(b[:n])
	if err != nil {
		x.close()
		return false
	}
	half := entries[:0]
	for i := 0; i < len(entries); i += 2 {
		half = append(half, entries[i])
	}
	// In place: an index that is cut in the middle is shorter, not wrong.
	if err := x.f.Truncate(0); err != nil {
		return false
	}
	if _, err := x.f.Write(encodeIndex(inode, half)); err != nil {
		x.close()
		return false
	}
	x.count, x.step, x.gap = len(half), 2*x.step, 2*x.gap
	return true
}

// retire gives the index of a log that is not written any more its other name.
func (x *index) retire(path string, inode uint64) {
	x.close()
	_ = os.Rename(currentIndex(path), indexOf(path, inode))
}

func (x *index) close() {
	if x.f != nil {
		_ = x.f.Close()
	}
	*x = index{}
}

// sweepIndexes removes what belongs to no file any more.
func (l *file) sweepIndexes() {
	dir, base := filepath.Split(l.path)
	all, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return
	}
	there := map[string]bool{}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), base) {
			if st, err := e.Info(); err == nil {
				there[strconv.FormatUint(inodeOf(st), 16)] = true
			}
		}
	}
	prefix := "." + base + ".index."
	for _, e := range all {
		if number, ok := strings.CutPrefix(e.Name(), prefix); ok && !there[number] {
			_ = os.Remove(dir + e.Name())
		}
	}
}

func encodeIndex(inode uint64, entries []entry) []byte {
	b := binary.LittleEndian.AppendUint64(nil, indexMagic)
	b = binary.LittleEndian.AppendUint64(b, inode)
	for _, e := range entries {
		b = appendEntry(b, e)
	}
	return b
}

func appendEntry(b []byte, e entry) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(e.wall))
	return binary.LittleEndian.AppendUint64(b, uint64(e.offset))
}

// readIndex reads an index file, which is not larger than it may be.
func readIndex(name string) ([]byte, error) {
	f, err := os.OpenFile(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open time index: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxIndexSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read time index: %w", err)
	}
	return b, nil
}

// decodeIndex takes whole entries as far as they make sense: neither time nor
// offset goes back.
func decodeIndex(b []byte) (inode uint64, entries []entry, err error) {
	if len(b) < indexHead || len(b) > maxIndexSize || binary.LittleEndian.Uint64(b) != indexMagic {
		return 0, nil, errIndex
	}
	inode = binary.LittleEndian.Uint64(b[8:])
	var last entry
	for b = b[indexHead:]; len(b) >= entrySize; b = b[entrySize:] {
		e := entry{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))}
		if e.wall < last.wall || e.offset < last.offset {
			return inode, nil, errIndex
		}
		entries, last = append(entries, e), e
	}
	return inode, entries, nil
}

// find returns the offset from which on everything is that was read at or after
// wall; ok is false if the index does not reach back so far.
func find(entries []entry, wall int64) (offset int64, ok bool) {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].wall > wall })
	if i == 0 {
		return 0, false
	}
	return entries[i-1].offset, true
}
