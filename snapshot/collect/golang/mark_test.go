package golang

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
)

// heapOf makes a heap of one page of objects of 32 bytes and one of 64 without
// pointers, and its memory.
func heapOf(t testing.TB, words map[uint64]uint64) *marker {
	t.Helper()
	const at = 1 << 32
	data := make([]byte, 2<<heapPage)
	for offset, v := range words {
		binary.LittleEndian.PutUint64(data[offset:], v)
	}
	h := &heap{arenas: map[uint64][]int32{}, low: ^uint64(0)}
	for _, s := range []span{{start: at, size: 32}, {start: at + 1<<heapPage, size: 64, noscan: true}} {
		if err := h.add(s, 1<<heapPage/s.size, 1); err != nil {
			t.Fatal(err)
		}
	}
	v := newView(memoryOf(t, data, at))
	t.Cleanup(v.close)
	return newMarker(h, v)
}

// TestMark: pointers anywhere into an object reach it, and what it points at; not
// through objects that are hidden or have no pointers.
func TestMark(t *testing.T) {
	const at = 1 << 32
	m := heapOf(t, map[uint64]uint64{
		8:    at + 32 + 7,   // the first object points into the second,
		56:   at + 64,       // that at the third, which is hidden,
		64:   at + 96,       // and that at the fourth;
		40:   at + 8192 + 1, // the second also at one without pointers,
		8192: at + 128,      // with what looks like one
	})
	m.hide(at + 64)
	m.point(at + 31)
	if err := m.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[uint64]bool{at: true, at + 32: true, at + 64: true, at + 96: false, at + 128: false, at + 8192: true, at + 8192 + 64: false} {
		if got, object := m.reached(p); got != want || !object {
			t.Errorf("%#x: reached %v, want %v", p, got, want)
		}
	}
	for _, p := range []uint64{0, at - 1, at + 2<<heapPage, 1 << 40, ^uint64(0)} {
		if _, object := m.reached(p); object {
			t.Errorf("%#x is an object", p)
		}
	}
}

// TestMarkBounds: what costs too much, or cannot be read, is no proof.
func TestMarkBounds(t *testing.T) {
	m := heapOf(t, nil)
	if err := m.scan(1<<32, 1<<33); !errors.Is(err, errTooMuch) {
		t.Error(err)
	}
	m.bytes = 0
	if err := m.scan(1<<33, 8); !errors.Is(err, errUnmapped) {
		t.Error(err)
	}
	m.bytes = maxMarked - 7
	if err := m.scan(1<<32, 8); !errors.Is(err, errTooMuch) {
		t.Error(err)
	}
	m.bytes = 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.point(1 << 32)
	if err := m.drain(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, s := range []struct {
		span
		count, pages uint64
	}{
		{span{start: 0, size: 8}, 1, 1}, {span{start: 1 << 32, size: 0}, 1, 1}, {span{start: 1 << 32, size: 8}, 0, 1},
		{span{start: 1 << 32, size: 8}, 1025, 1}, {span{start: 1 << 32, size: 1 << 40}, 1, 1}, {span{start: 1<<32 + 8, size: 8}, 1, 1},
		{span{start: 1 << 32, size: 8}, 1, 1 << 30}, {span{start: 1 << 60, size: 8}, 1, 1},
	} {
		if err := m.add(s.span, s.count, s.pages); err == nil {
			t.Errorf("taken: %+v", s)
		}
	}
}

// FuzzMark: neither spans nor memory may bring marking down.
func FuzzMark(f *testing.F) {
	f.Add(uint64(1<<32), uint64(32), uint64(100), uint64(1), []byte("12345678"), uint64(1<<32+8))
	f.Add(uint64(1<<32+1<<27), uint64(1<<27), uint64(1), uint64(1<<14), make([]byte, 64), uint64(1<<32))
	f.Fuzz(func(t *testing.T, start, size, count, pages uint64, data []byte, p uint64) {
		if len(data) == 0 {
			return
		}
		h := &heap{arenas: map[uint64][]int32{}, low: ^uint64(0)}
		if pages > 1<<16 || h.add(span{start: start, size: size}, count, pages) != nil || h.objects > 1<<20 {
			return
		}
		v := newView(memoryOf(t, data, start))
		defer v.close()
		m := newMarker(h, v)
		m.point(p)
		_ = m.scan(start, uint64(len(data)))
		_ = m.drain(t.Context())
		if s, at, n := h.find(p); s != nil && (p < at || p-at >= size || n >= h.objects) {
			t.Errorf("%#x is in object %d at %#x", p, n, at)
		}
	})
}

// FuzzScanStack: any words may be on a stack.
func FuzzScanStack(f *testing.F) {
	f.Add([]byte("\x10\x00\x00\x00\x00\x00\x00\x00"), uint64(16), uint64(8), uint64(32))
	f.Fuzz(func(t *testing.T, words []byte, a, size, b uint64) {
		if size > 1<<20 || a > 1<<62 || b > 1<<62 {
			return
		}
		objects := []object{{min(a, b), min(a, b) + size}, {max(a, b), max(a, b) + size}}
		found := pointers{}
		n := found.scan(7, words, objects)
		total := 0
		for _, ids := range found {
			total += len(ids)
		}
		if total != n || n > 2 {
			t.Errorf("%d found, %d listed", n, total)
		}
	})
}
