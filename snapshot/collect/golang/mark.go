package golang

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of marking.
const (
	maxMarked  = 2 << 30 // bytes that are looked at
	maxTodo    = 8 << 20 // objects that wait to be looked at
	maxObject  = 1 << 34
	markPiece  = 64 << 10
	markLookAt = 1 << 12 // objects between two looks at the clock
)

// errTooMuch says that a proof was given up for its cost.
var errTooMuch = errors.New("the heap is too large")

// marker finds what can be reached, as a collector of garbage does, but without
// types: each word that looks like a pointer to an object is one.
type marker struct {
	*heap
	view   *view
	marked []uint64 // bits, by number of the object
	todo   []uint64 // starts of objects
	bytes  uint64
	buf    []byte
}

func newMarker(h *heap, v *view) *marker {
	return &marker{heap: h, view: v, marked: make([]uint64, h.objects/64+1), buf: make([]byte, markPiece)}
}

// hide takes an object for looked at: nothing is reached through it.
func (m *marker) hide(p uint64) {
	if s, _, n := m.find(p); s != nil {
		m.marked[n/64] |= 1 << (n % 64)
	}
}

// reached reports whether the object at p was reached, and whether there is one.
func (m *marker) reached(p uint64) (marked, object bool) {
	s, _, n := m.find(p)
	return s != nil && m.marked[n/64]&(1<<(n%64)) != 0, s != nil
}

// point takes a word for a pointer.
func (m *marker) point(p uint64) {
	s, start, n := m.find(p)
	if s == nil || m.marked[n/64]&(1<<(n%64)) != 0 {
		return
	}
	m.marked[n/64] |= 1 << (n % 64)
	if !s.noscan {
		m.todo = append(m.todo, start)
	}
}

// scan takes all words of a piece of memory for pointers.
func (m *marker) scan(at, size uint64) error {
	if m.bytes += size; m.bytes > maxMarked || size > maxObject {
		return errTooMuch
	}
	for size > 0 {
		n := min(size, markPiece)
		b, err := m.view.bytes(at, m.buf[:n])
		if err != nil {
			return fmt.Errorf("cannot read %d bytes at %#x: %w", n, at, err)
		}
		for i := 0; i+8 <= len(b); i += 8 {
			if p := binary.LittleEndian.Uint64(b[i:]); p >= m.low && p < m.high {
				m.point(p)
			}
		}
		at, size = at+n, size-n
	}
	return nil
}

// drain looks at all that was reached.
func (m *marker) drain(ctx context.Context) error {
	for n := 0; len(m.todo) > 0; n++ {
		if len(m.todo) > maxTodo {
			return errTooMuch
		}
		if n%markLookAt == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		at := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		s, start, _ := m.find(at)
		if err := m.scan(start, s.size); err != nil {
			return err
		}
	}
	return nil
}
