package golang

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Bounds of an image.
const (
	maxSegments = 1 << 17
	blockSize   = 16 << 10 // what one read of the file brings
	maxBlocks   = 512      // blocks that are kept: 8 MiB
	maxNotesLen = 64 << 20
)

// image is the memory of a core, and behind it that of the executable, for what
// a core leaves out: constants and text. Delve's reader makes one system call
// for each word; listing goroutines needs a hundred words of each.
type image struct {
	files    []io.Closer
	segments []segment // of the core, by address
	constant []segment // of the executable
	blocks   map[blockKey][]byte
	old      []blockKey // in the order of arrival, a ring of maxBlocks
	next     int
	notes    []byte
}

// segment is a range of memory in a file.
type segment struct {
	start, end uint64 // what is in the file
	at         int64
	file       *os.File
}

type blockKey struct {
	file *os.File
	at   int64
}

// openImage opens a core and its executable, whose addresses are moved by bias.
func openImage(core, exe string, bias uint64) (m *image, err error) {
	m = &image{blocks: map[blockKey][]byte{}}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot parse core %s: %v", core, p)
		}
		if err != nil {
			m.close()
		}
	}()
	if m.segments, err = m.load(core, 0, true); err != nil {
		return m, fmt.Errorf("cannot read core %s: %w", core, err)
	}
	if m.constant, err = m.load(exe, bias, false); err != nil {
		return m, fmt.Errorf("cannot read executable %s: %w", exe, err)
	}
	return m, nil
}

func (m *image) load(path string, bias uint64, notes bool) ([]segment, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m.files = append(m.files, file)
	f, err := elf.NewFile(file)
	if err != nil {
		return nil, err
	}
	if len(f.Progs) > maxSegments {
		return nil, fmt.Errorf("%d segments are too many", len(f.Progs))
	}
	var list []segment
	for _, p := range f.Progs {
		switch {
		case p.Type == elf.PT_NOTE && notes && m.notes == nil && p.Filesz <= maxNotesLen:
			m.notes, _ = io.ReadAll(p.Open())
		case p.Type == elf.PT_LOAD && p.Filesz > 0 && p.Filesz <= 1<<47 && p.Vaddr+bias <= 1<<62 && p.Off <= 1<<62:
			list = append(list, segment{p.Vaddr + bias, p.Vaddr + bias + p.Filesz, int64(p.Off), file})
		}
	}
	slices.SortFunc(list, func(a, b segment) int { return compare(a.start, b.start) })
	return list, nil
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (m *image) close() {
	for _, f := range m.files {
		_ = f.Close() // opened for reading
	}
}

// errUnmapped is an address that neither file has.
var errUnmapped = errors.New("not in the core")

// find returns the segment of an address.
func find(list []segment, addr uint64) *segment {
	i, exact := slices.BinarySearchFunc(list, addr, func(s segment, a uint64) int { return compare(s.start, a) })
	if !exact {
		i--
	}
	if i < 0 || addr >= list[i].end {
		return nil
	}
	return &list[i]
}

// segment is where the memory at an address is; nil when it is nowhere.
func (m *image) segment(addr uint64) *segment {
	if s := find(m.segments, addr); s != nil {
		return s
	}
	return find(m.constant, addr)
}

// read fills buf with the memory at an address, or fails.
func (m *image) read(buf []byte, addr uint64) error {
	for len(buf) > 0 {
		s := m.segment(addr)
		if s == nil {
			return errUnmapped
		}
		n := int(min(uint64(len(buf)), s.end-addr))
		if err := m.copy(buf[:n], s.file, s.at+int64(addr-s.start)); err != nil {
			return err
		}
		buf, addr = buf[n:], addr+uint64(n)
	}
	return nil
}

// copy reads from a file by blocks. A file that ends early, as a core does
// whose writing was cut, is an error.
func (m *image) copy(buf []byte, file *os.File, at int64) error {
	for len(buf) > 0 {
		key := blockKey{file, at &^ (blockSize - 1)}
		b, ok := m.blocks[key]
		if !ok {
			var err error
			if b, err = m.fetch(key); err != nil {
				return err
			}
		}
		from := int(at - key.at)
		if from >= len(b) {
			return io.ErrUnexpectedEOF
		}
		n := copy(buf, b[from:])
		buf, at = buf[n:], at+int64(n)
	}
	return nil
}

// fetch reads one block, into the place of the oldest when there are enough.
func (m *image) fetch(key blockKey) ([]byte, error) {
	var b []byte
	if len(m.old) == maxBlocks {
		b = m.blocks[m.old[m.next]][:0]
		delete(m.blocks, m.old[m.next])
		m.old[m.next] = key
		m.next = (m.next + 1) % maxBlocks
	} else {
		m.old = append(m.old, key)
	}
	if cap(b) < blockSize {
		b = make([]byte, blockSize)
	}
	b = b[:blockSize]
	n, err := key.file.ReadAt(b, key.at)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		m.blocks[key] = b[:0]
		return nil, err
	}
	m.blocks[key] = b[:n]
	return b[:n], nil
}

// word reads one pointer-sized word; 0 when it is nowhere.
func (m *image) word(addr uint64) uint64 {
	var buf [8]byte
	if m.read(buf[:], addr) != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(buf[:])
}

// text reads a string of Go, cut to most bytes; "" when it is nowhere.
func (m *image) text(addr uint64, most int) string {
	base, size := m.word(addr), m.word(addr+8)
	if base == 0 || size == 0 || size > 1<<40 {
		return ""
	}
	buf := make([]byte, min(size, uint64(most)))
	if m.read(buf, base) != nil {
		return ""
	}
	return string(bytes.ToValidUTF8(buf, nil))
}

// note returns the first note of a kind, elf(5); nil when there is none. It
// trusts no length.
func (m *image) note(kind uint32) []byte {
	rest := m.notes
	for len(rest) >= 12 {
		name, size := uint64(binary.LittleEndian.Uint32(rest)), uint64(binary.LittleEndian.Uint32(rest[4:]))
		start := 12 + (name+3)&^3
		end := start + size
		if end > uint64(len(rest)) {
			return nil
		}
		if binary.LittleEndian.Uint32(rest[8:]) == kind {
			return rest[start:end]
		}
		if end = (end + 3) &^ 3; end > uint64(len(rest)) {
			return nil
		}
		rest = rest[end:]
	}
	return nil
}
