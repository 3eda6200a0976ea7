package golang

import (
	"context"
	"encoding/binary"
	"slices"
)

// Bounds of the search of stacks.
const (
	maxStack   = 64 << 10 // bytes of a stack that are searched, from its top
	maxObjects = 4096     // different objects that are looked for
	maxFound   = 1 << 20  // goroutines that are found, of all objects
)

// pointers is whose stacks have a pointer into an object, by the object's start.
type pointers map[uint64][]int64

// object is a heap object that is looked for.
type object struct{ start, end uint64 }

// search looks for pointers to all that somebody of the graph waits for, on all
// stacks. Words that only look like a pointer count as one.
func (g *graph) search(ctx context.Context) {
	g.found = pointers{}
	objects := g.objects()
	if len(objects) == 0 {
		return
	}
	buf := make([]byte, maxStack)
	found := 0
	scanned := 0
	for i := range g.actors {
		a := &g.actors[i]
		if a.sp == 0 || a.sp >= a.hi || statusName(a.status) == "" {
			continue
		}
		if scanned++; ctx.Err() != nil || scanned > maxScanned || found > maxFound {
			g.note("holders were looked for in the first %d goroutines only", scanned-1)
			return
		}
		part := buf[:min(a.hi-a.sp, maxStack)&^7]
		if g.mem.read(part, a.sp) == nil {
			found += g.found.scan(a.id, part, objects)
		}
	}
}

// objects are those that somebody waits for, by address; those of locks come
// first when there are too many.
func (g *graph) objects() []object {
	seen := map[uint64]bool{}
	var list []object
	for _, locks := range []bool{true, false} {
		for i := range g.actors {
			for _, w := range g.actors[i].wants {
				if w.end == 0 || seen[w.start] || lockKind(w.kind) != locks {
					continue
				}
				if len(list) == maxObjects {
					g.note("holders were looked for of the first %d locks and channels only", maxObjects)
					slices.SortFunc(list, byStart)
					return list
				}
				seen[w.start] = true
				list = append(list, object{w.start, w.end})
			}
		}
	}
	slices.SortFunc(list, byStart)
	return list
}

func byStart(a, b object) int { return compare(a.start, b.start) }

// scan looks for pointers into sorted objects, and returns how many it found.
func (p pointers) scan(id int64, words []byte, objects []object) (found int) {
	low, high := objects[0].start, objects[len(objects)-1].end
	for i := 0; i+8 <= len(words); i += 8 {
		v := binary.LittleEndian.Uint64(words[i:])
		if v < low || v >= high {
			continue
		}
		at, exact := slices.BinarySearchFunc(objects, v, func(o object, v uint64) int { return compare(o.start, v) })
		if !exact {
			at--
		}
		if at < 0 || v >= objects[at].end {
			continue
		}
		start := objects[at].start
		if ids := p[start]; len(ids) == 0 || ids[len(ids)-1] != id { // those of one stack come together
			p[start] = append(ids, id)
			found++
		}
	}
	return found
}
