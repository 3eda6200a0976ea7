package golang

import (
	"errors"
	"fmt"
)

// Bounds of the heap.
const (
	maxArenas      = 1 << 22 // of 64 MiB in 48 bits of address
	maxSpans       = 1 << 21
	maxMapArenas   = 1 << 10 // 64 GiB
	maxPages       = 1 << 24
	maxHeapObjects = 1 << 29 // of all sizes
	pagesPerArena  = 1 << (arenaShift - heapPage)
)

// span is a run of pages with objects of one size, runtime/mheap.go.
type span struct {
	start, limit, size uint64
	first              uint64 // number of its first object, of all
	noscan             bool   // its objects have no pointers
	specials           uint64 // the first record of what is special about an object
}

// heap is where objects are.
type heap struct {
	spans     []span
	arenas    map[uint64][]int32 // of each page, number of its span from 1; 0: none
	last      uint64             // the arena that was looked at last
	pages     []int32            // of that
	low, high uint64
	objects   uint64
	taken     uint64 // pages
}

var errHeap = errors.New("the heap cannot be read")

// heap reads the spans in use.
func (r *reading) heap() (*heap, error) {
	at, err := r.offsetsOf("runtime.mspan", "startAddr", "npages", "elemsize", "nelems", "state", "spanclass", "specials")
	if err != nil {
		return nil, err
	}
	start, pages, size, count, state, class, specials := at[0], at[1], at[2], at[3], at[4], at[5], at[6]
	all, err := r.eval("runtime.mheap_.allspans")
	if err != nil {
		return nil, err
	}
	if all.Len <= 0 || all.Len > maxSpans {
		return nil, fmt.Errorf("%w: it has %d spans", errHeap, all.Len)
	}
	h := &heap{arenas: map[uint64][]int32{}, low: ^uint64(0)}
	var byte1 [1]byte
	for i := range uint64(all.Len) {
		s := r.word(all.Base + 8*i)
		if s == 0 || r.mem.read(byte1[:], s+state) != nil {
			return nil, fmt.Errorf("%w: span %d", errHeap, i)
		}
		if byte1[0] != spanInUse {
			continue
		}
		if err := r.mem.read(byte1[:], s+class); err != nil {
			return nil, err
		}
		n := uint64(r.half(s+count) & 0xffff)
		if err := h.add(span{start: r.word(s + start), size: r.word(s + size), noscan: byte1[0]&1 != 0, specials: r.word(s + specials)}, n, r.word(s+pages)); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// spanInUse is mSpanInUse of runtime/mheap.go: for objects, and not for stacks.
const spanInUse = 1

// add takes one span of count objects on a number of pages.
func (h *heap) add(s span, count, pages uint64) error {
	if s.start == 0 || s.size == 0 || count == 0 || pages == 0 || pages > maxPages || s.start > 1<<56 || s.size > pages<<heapPage || count > pages<<heapPage/s.size || s.start%(1<<heapPage) != 0 {
		return fmt.Errorf("%w: a span of %d objects of %d bytes on %d pages at %#x", errHeap, count, s.size, pages, s.start)
	}
	if h.taken, h.objects = h.taken+pages, h.objects+count; h.taken > maxPages || h.objects > maxHeapObjects {
		return errTooMuch
	}
	s.limit, s.first = s.start+count*s.size, h.objects-count
	h.spans = append(h.spans, s)
	h.low, h.high = min(h.low, s.start), max(h.high, s.limit)
	for at := s.start; at < s.start+pages<<heapPage; at += 1 << heapPage {
		arena := (at + arenaOffset) >> arenaShift
		if h.arenas[arena] == nil {
			if len(h.arenas) == maxMapArenas {
				return errTooMuch
			}
			h.arenas[arena] = make([]int32, pagesPerArena)
		}
		h.arenas[arena][at&arenaMask>>heapPage] = int32(len(h.spans))
	}
	return nil
}

// find returns the object around an address: its span, start and number.
func (h *heap) find(p uint64) (s *span, start, number uint64) {
	if p < h.low || p >= h.high {
		return nil, 0, 0
	}
	arena := (p + arenaOffset) >> arenaShift
	if arena != h.last || h.pages == nil {
		h.last, h.pages = arena, h.arenas[arena]
		if h.pages == nil {
			return nil, 0, 0
		}
	}
	at := h.pages[p&arenaMask>>heapPage]
	if at == 0 {
		return nil, 0, 0
	}
	s = &h.spans[at-1]
	if p >= s.limit {
		return nil, 0, 0
	}
	n := (p - s.start) / s.size
	return s, s.start + n*s.size, s.first + n
}
