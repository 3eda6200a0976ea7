package logs

import (
	"encoding/binary"
	"time"
)

// DefaultTail is how many bytes the tail of an instance takes at most.
const DefaultTail = 64 << 10

// A record of the tail: 4 bytes length and flags, 8 wall clock, 8 boot clock,
// then the text.
const (
	headerSize  = 20
	flagStderr  = 1 << 31
	flagCut     = 1 << 30
	flagPartial = 1 << 29
	lengthMask  = flagPartial - 1
	firstTail   = 4 << 10 // what a tail takes at first
)

// tail is a ring of the newest lines of one instance. It takes no memory until
// there is a line, then grows by doubling up to max. Not safe for concurrent
// use.
type tail struct {
	max   int
	buf   []byte
	start int // of the oldest record
	used  int
	lines int
}

// push appends a line and drops as many old ones as it needs room for.
func (t *tail) push(p piece, s Stream, partial bool) {
	text, flags := p.text, uint32(0)
	if s == Stderr {
		flags |= flagStderr
	}
	if partial {
		flags |= flagPartial
	}
	if room := max(t.max-headerSize, 0); len(text) > room {
		text, p.cut = text[:room], true
	}
	if p.cut {
		flags |= flagCut
	}
	need := headerSize + len(text)
	if need > t.max {
		return
	}
	for t.used+need > t.max {
		t.pop()
	}
	t.grow(t.used + need)
	var h [headerSize]byte
	binary.LittleEndian.PutUint32(h[0:], flags|uint32(len(text)))
	binary.LittleEndian.PutUint64(h[4:], uint64(p.at.wall))
	binary.LittleEndian.PutUint64(h[12:], uint64(p.at.boot))
	t.write(h[:])
	t.write(text)
	t.lines++
}

func (t *tail) grow(need int) {
	if need <= len(t.buf) {
		return
	}
	size := max(len(t.buf), firstTail)
	for size < need {
		size *= 2
	}
	next := make([]byte, min(size, t.max))
	t.read(next[:t.used], t.start)
	t.buf, t.start = next, 0
}

// write appends p; the caller has made room.
func (t *tail) write(p []byte) {
	at := (t.start + t.used) % len(t.buf)
	n := copy(t.buf[at:], p)
	copy(t.buf, p[n:])
	t.used += len(p)
}

// read fills p from the position at.
func (t *tail) read(p []byte, at int) {
	if len(p) == 0 {
		return
	}
	n := copy(p, t.buf[at:])
	copy(p[n:], t.buf)
}

func (t *tail) pop() {
	n := t.size(t.start)
	t.start = (t.start + n) % len(t.buf)
	t.used -= n
	t.lines--
}

// size of the record at the position at.
func (t *tail) size(at int) int {
	var h [4]byte
	t.read(h[:], at)
	return headerSize + int(binary.LittleEndian.Uint32(h[:])&lengthMask)
}

// last returns the newest n lines, oldest first; all of them for n < 0.
func (t *tail) last(n int) []Line {
	skip := 0
	if n >= 0 {
		skip = max(t.lines-n, 0)
	}
	all := make([]Line, 0, t.lines-skip)
	at := t.start
	for i := range t.lines {
		size := t.size(at)
		if i >= skip {
			all = append(all, t.line(at, size))
		}
		at = (at + size) % len(t.buf)
	}
	return all
}

func (t *tail) line(at, size int) Line {
	b := make([]byte, size)
	t.read(b, at)
	flags := binary.LittleEndian.Uint32(b)
	p := piece{
		text: b[headerSize:],
		at: stamp{
			wall: int64(binary.LittleEndian.Uint64(b[4:])),
			boot: time.Duration(binary.LittleEndian.Uint64(b[12:])),
		},
		cut: flags&flagCut != 0,
	}
	s := Stdout
	if flags&flagStderr != 0 {
		s = Stderr
	}
	return p.line(s, flags&flagPartial != 0)
}

// line copies a piece.
func (p piece) line(s Stream, partial bool) Line {
	return Line{Text: string(p.text), Wall: time.Unix(0, p.at.wall), Boot: p.at.boot, Stream: s, Cut: p.cut, Partial: partial}
}
