package golang

import (
	"slices"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxApart is how many members of deadlock cycles get a group of their own.
const maxApart = 64

// setApart takes the members of deadlock cycles out of their groups, each into
// a group of its own, so that each shows its variables: two goroutines that wait
// for each other often have the same stack.
func (r *reading) setApart() {
	in := map[int64]*sample{}
	for _, s := range r.order {
		for _, id := range s.IDs {
			in[id] = s
		}
	}
	apart := 0
	for _, c := range r.out.Deadlocks {
		for _, id := range c.Members {
			s := in[id]
			if s == nil || s.g == nil || s.indexes == nil {
				continue
			}
			if s.special = true; s.Count == 1 {
				continue
			}
			if apart++; apart > maxApart {
				r.note("the first %d members of deadlocks are shown each with its variables", maxApart)
				return
			}
			r.safely("a member of a deadlock", func() { r.takeOut(s, id) })
		}
	}
}

// takeOut makes a group of one member. The sample of a group stays what it is,
// unless it goes itself: then the rest is unwound anew from another one.
func (r *reading) takeOut(from *sample, id int64) {
	at := slices.Index(from.IDs, id)
	if at < 0 || at >= len(from.indexes) {
		return
	}
	one, err := r.sampleAt(from.indexes[at], id, from.Status, from.WaitReason)
	if err != nil {
		return // it is in its group as before
	}
	if id == from.Sample {
		next := (at + 1) % len(from.IDs)
		rest, err := r.sampleAt(from.indexes[next], from.IDs[next], from.Status, from.WaitReason)
		if err != nil {
			return
		}
		from.g, from.frames, from.Sample, from.Frames, from.Labels = rest.g, rest.frames, rest.Sample, rest.Frames, rest.Labels
	}
	from.IDs = slices.Delete(from.IDs, at, at+1)
	from.indexes = slices.Delete(from.indexes, at, at+1)
	from.Count--
	one.Count, one.IDs, one.special = 1, []int64{id}, true
	if m := slices.IndexFunc(from.Members, func(m snapshot.Member) bool { return m.ID == id }); m >= 0 {
		one.Members = []snapshot.Member{from.Members[m]}
		one.Labels, one.WaitMin, one.WaitMax = from.Members[m].Labels, from.Members[m].Waiting, from.Members[m].Waiting
		from.Members = slices.Delete(from.Members, m, m+1)
	}
	r.order = append(r.order, one)
}
