package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Policy bounds the store. A zero field does not bound.
type Policy struct {
	MaxBytes int64         // on disk, of all incidents
	MaxAge   time.Duration // by the wall clock
	MinFree  int64         // bytes that stay free on the file system
}

// Entry is what a plan needs to know of an incident.
type Entry struct {
	ID          string
	Time        time.Time
	Service     string
	Cause       snapshot.Cause
	Fingerprint string // may be empty: then service and cause stand for it
	Bytes       int64
	Keep        bool // pinned, or not finished: never removed
}

// Removal is an incident that is removed.
type Removal struct {
	ID     string
	Bytes  int64
	Reason string
}

// Plan returns what to remove, in that order: those that are older than MaxAge;
// then, while the bytes or the free space demand it, the oldest ones; both
// spare the first and the newest of each fingerprint. When that is not enough
// the spared ones go too, oldest first, since a store without a bound would
// fill the disk; the newest of all and those to keep never go. free is what the
// file system has now.
func (p Policy) Plan(entries []Entry, free int64, now time.Time) []Removal {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	plan := plan{policy: p, free: free, gone: make([]bool, len(entries))}
	for _, e := range entries {
		plan.total += e.Bytes
	}
	spared := spare(entries)
	if p.MaxAge > 0 {
		for i, e := range entries {
			if age := now.Sub(e.Time); !spared[i] && age > p.MaxAge {
				plan.remove(i, e, fmt.Sprintf("it is %s old, the limit is %s", age.Round(time.Second), p.MaxAge))
			}
		}
	}
	for i, e := range entries {
		if reason := plan.want(); reason != "" && !spared[i] {
			plan.remove(i, e, reason)
		}
	}
	for i, e := range entries {
		last := i == len(entries)-1
		if reason := plan.want(); reason != "" && spared[i] && !last && !e.Keep {
			plan.remove(i, e, reason+"; it was the first or the newest of its fingerprint, and all others are gone")
		}
	}
	return plan.removals
}

// plan is a plan being made.
type plan struct {
	policy      Policy
	total, free int64
	gone        []bool
	removals    []Removal
}

// want says why more must go; empty when nothing must.
func (p *plan) want() string {
	if p.policy.MaxBytes > 0 && p.total > p.policy.MaxBytes {
		return fmt.Sprintf("the incidents take %d bytes, the limit is %d", p.total, p.policy.MaxBytes)
	}
	if p.policy.MinFree > 0 && p.free < p.policy.MinFree {
		return fmt.Sprintf("%d bytes are free on the file system, %d must be", p.free, p.policy.MinFree)
	}
	return ""
}

func (p *plan) remove(i int, e Entry, reason string) {
	if p.gone[i] {
		return
	}
	p.gone[i] = true
	p.total -= e.Bytes
	p.free += e.Bytes
	p.removals = append(p.removals, Removal{ID: e.ID, Bytes: e.Bytes, Reason: reason})
}

// spare marks those to keep and the first and the newest of each fingerprint.
// entries are oldest first.
func spare(entries []Entry) []bool {
	spared := make([]bool, len(entries))
	newest := make(map[string]int)
	for i, e := range entries {
		key := e.Fingerprint
		if key == "" {
			key = e.Service + "/" + string(e.Cause)
		}
		_, seen := newest[key]
		spared[i] = e.Keep || !seen
		newest[key] = i
	}
	for _, i := range newest {
		spared[i] = true
	}
	return spared
}
