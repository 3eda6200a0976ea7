package ledger

import (
	"slices"
	"sort"
)

// ring holds the newest entries, ordered by Seq.
type ring struct {
	entries []*Entry
	limit   int
}

// add appends e, and returns the entry that had to go for it: the oldest that
// has an outcome, or the oldest.
func (r *ring) add(e *Entry) (gone *Entry) {
	if len(r.entries) >= r.limit {
		at := max(slices.IndexFunc(r.entries, func(e *Entry) bool { return e.Outcome != "" }), 0)
		gone = r.entries[at]
		r.entries = slices.Delete(r.entries, at, at+1)
	}
	r.entries = append(r.entries, e)
	return gone
}

// after is the position of the first entry with a larger seq.
func (r *ring) after(seq uint64) int {
	return sort.Search(len(r.entries), func(i int) bool { return r.entries[i].Seq > seq })
}

func (r *ring) find(seq uint64) *Entry {
	if i := r.after(seq) - 1; i >= 0 && r.entries[i].Seq == seq {
		return r.entries[i]
	}
	return nil
}
