package logs

import (
	"bytes"
	"encoding/binary"
	"time"
)

// DefaultTail is how many bytes the tail of an instance takes at most.
const DefaultTail = 64 << 10

// A record of the tail is a part of one read, as it came: 4 bytes length and
// flags, 8 wall clock, 8 boot clock, then the bytes. Lines are made of it when
// somebody looks, so that a flood costs one copy and no work for each line.
const (
	headerSize = 20
	flagStderr = 1 << 31
	flagBegins = 1 << 30 // begins a line
	flagEnd    = 1 << 29 // nothing follows in this stream
	lengthMask = flagEnd - 1
	firstTail  = 4 << 10 // what a tail takes at first
	partSize   = 4 << 10 // of a read; what is dropped at once
)

// tail is a ring of the newest output of one instance. It takes no memory until
// there is some, then grows by doubling up to max. Not safe for concurrent use.
type tail struct {
	max     int
	buf     []byte
	start   int // of the oldest record
	used    int
	records int
	midLine [streams]bool
}

// push keeps what a read has brought; of a read larger than the ring, its end.
func (t *tail) push(p []byte, now stamp, s Stream) {
	begins := !t.midLine[s]
	if len(p) > 0 {
		t.midLine[s] = p[len(p)-1] != '\n'
	}
	if over := len(p) - t.max; over > 0 {
		begins = p[over-1] == '\n'
		p = p[over:]
	}
	part := max(1, min(partSize, t.max/4-headerSize))
	for len(p) > 0 {
		n := min(len(p), part)
		if end := bytes.LastIndexByte(p[:n], '\n') + 1; end > 0 {
			n = end
		}
		var flags uint32
		if begins {
			flags = flagBegins
		}
		t.record(p[:n], now, s, flags)
		begins = p[n-1] == '\n'
		p = p[n:]
	}
}

// end says that a stream has ended: what is left of a line is a line.
func (t *tail) end(s Stream) {
	if t.midLine[s] {
		t.record(nil, stamp{}, s, flagEnd)
	}
	t.midLine[s] = false
}

func (t *tail) record(text []byte, now stamp, s Stream, flags uint32) {
	if s == Stderr {
		flags |= flagStderr
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
	binary.LittleEndian.PutUint64(h[4:], uint64(now.wall))
	binary.LittleEndian.PutUint64(h[12:], uint64(now.boot))
	t.write(h[:])
	t.write(text)
	t.records++
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
	var h [4]byte
	t.read(h[:], t.start)
	n := headerSize + int(binary.LittleEndian.Uint32(h[:])&lengthMask)
	t.start = (t.start + n) % len(t.buf)
	t.used -= n
	t.records--
}

// lines returns all lines that are kept, oldest first, and the splitters as
// they stand after the last byte. The rest of a line whose begin was dropped
// is left out.
func (t *tail) lines() (all []Line, split [streams]splitter) {
	var seen [streams]bool
	at := t.start
	for range t.records {
		var h [headerSize]byte
		t.read(h[:], at)
		flags := binary.LittleEndian.Uint32(h[:])
		text := make([]byte, flags&lengthMask)
		t.read(text, (at+headerSize)%len(t.buf))
		at = (at + headerSize + len(text)) % len(t.buf)
		s := Stdout
		if flags&flagStderr != 0 {
			s = Stderr
		}
		sp := &split[s]
		if !seen[s] {
			seen[s], sp.skip = true, flags&flagBegins == 0 && flags&flagEnd == 0
		}
		if flags&flagEnd != 0 {
			if l, ok := sp.finish(); ok {
				all = append(all, l.line(s, true))
			}
			continue
		}
		now := stamp{wall: int64(binary.LittleEndian.Uint64(h[4:])), boot: time.Duration(binary.LittleEndian.Uint64(h[12:]))}
		sp.feed(text, now, func(p piece) { all = append(all, p.line(s, false)) })
	}
	return all, split
}

// line copies a piece.
func (p piece) line(s Stream, partial bool) Line {
	return Line{Text: string(p.text), Wall: time.Unix(0, p.at.wall), Boot: p.at.boot, Stream: s, Cut: p.cut, Partial: partial}
}
