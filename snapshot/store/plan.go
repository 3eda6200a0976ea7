package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Entry is what a plan needs to know of an incident.
type Entry struct {
	ID          string
	Time        time.Time
	Service     string
	Cause       snapshot.Cause
	Fingerprint string // may be empty: then the cause stands for it
	Bytes       int64
	Inodes      int64
	Parts       []Part // that it can do without
	Keep        bool   // pinned, or not finished: never touched

	leftovers []string // files that its manifest calls removed, and that are there
}

// Removal is an incident that is removed, or one file of it.
type Removal struct {
	ID     string
	Part   string // "": all of it
	Bytes  int64
	Reason string
}

// What names what is removed, for people.
func (r Removal) What() string {
	if r.Part != "" {
		return r.Part + " of " + r.ID
	}
	return r.ID
}

// Plan returns what to remove, in that order. First what is too old or too many of
// a kind: those that are older than MaxAge and those beyond MaxPerFingerprint,
// which spare the first and the newest of each fingerprint. Then, while the bytes
// or the free space demand it, each step oldest first: memory; other large files;
// incidents; the stacks of the spared ones. When all that is not enough the spared
// ones go too, since a store without a bound would fill the disk. The newest of
// all and those to keep are never touched.
func (p Policy) Plan(entries []Entry, room Room, now time.Time) []Removal {
	plan := newPlan(p, entries, room)
	plan.old(now)
	plan.alike()
	plan.parts(partMemory)
	plan.parts(partBulk)
	plan.whole(false, "")
	plan.parts(partReading)
	plan.whole(true, "; it was the first or the newest of its fingerprint, and all others are gone")
	return plan.settled()
}

// plan is a plan being made.
type plan struct {
	policy   Policy
	entries  []Entry // oldest first
	spared   []bool  // to keep, or the first or the newest of a fingerprint
	gone     []bool
	total    int64 // bytes of all incidents
	room     Room
	removals []Removal
}

func newPlan(p Policy, entries []Entry, room Room) *plan {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return &plan{policy: p, entries: entries, spared: spare(entries), gone: make([]bool, len(entries)), total: total(entries), room: room}
}

// old removes by age.
func (p *plan) old(now time.Time) {
	for i, e := range p.entries {
		if age := now.Sub(e.Time); p.policy.MaxAge > 0 && !p.spared[i] && age > p.policy.MaxAge {
			p.remove(i, fmt.Sprintf("it is %s old, the limit is %s", age.Round(time.Second), p.policy.MaxAge))
		}
	}
}

// alike removes what is too many of one fingerprint.
func (p *plan) alike() {
	if p.policy.MaxPerFingerprint <= 0 {
		return
	}
	limit := max(p.policy.MaxPerFingerprint, 2)
	count := make(map[string]int)
	for i, e := range p.entries {
		if !p.gone[i] {
			count[e.kind()]++
		}
	}
	for i, e := range p.entries {
		if n := count[e.kind()]; n > limit && !p.gone[i] && !p.spared[i] {
			p.remove(i, fmt.Sprintf("there are %d incidents of its fingerprint, the limit is %d", n, limit))
			count[e.kind()]--
		}
	}
}

// parts removes files of one class while bytes are wanted, those of the spared
// incidents last. An inode alone is not worth a file of evidence.
func (p *plan) parts(class partClass) {
	for _, spared := range []bool{false, true} {
		for i := range p.entries {
			if p.spared[i] == spared && p.touchable(i) {
				p.strip(i, class)
			}
		}
	}
}

func (p *plan) strip(i int, class partClass) {
	e := &p.entries[i]
	for _, part := range e.Parts {
		if part.class() != class {
			continue
		}
		reason := p.wantBytes()
		if reason == "" {
			return
		}
		p.total, p.room.Free, e.Bytes = p.total-part.Bytes, p.room.Free+part.Bytes, e.Bytes-part.Bytes
		p.room.FreeInodes, e.Inodes = p.room.FreeInodes+1, e.Inodes-1
		p.removals = append(p.removals, Removal{ID: e.ID, Part: part.Name, Bytes: part.Bytes, Reason: reason})
	}
}

// whole removes incidents while something is wanted.
func (p *plan) whole(spared bool, why string) {
	for i := range p.entries {
		reason := p.want()
		if reason == "" {
			return
		}
		if p.spared[i] == spared && p.touchable(i) {
			p.remove(i, reason+why)
		}
	}
}

// touchable says whether the bytes may have anything of it.
func (p *plan) touchable(i int) bool {
	return !p.gone[i] && !p.entries[i].Keep && i != len(p.entries)-1
}

// want says why more must go; empty when nothing must.
func (p *plan) want() string {
	if why := p.wantBytes(); why != "" {
		return why
	}
	if least := p.policy.MinFreeInodes.of(p.room.Inodes); p.room.Inodes > 0 && p.room.FreeInodes < least {
		return fmt.Sprintf("%d inodes are free on the file system, %d must be", p.room.FreeInodes, least)
	}
	return ""
}

func (p *plan) wantBytes() string {
	if p.policy.MaxBytes > 0 && p.total > p.policy.MaxBytes {
		return fmt.Sprintf("the incidents take %d bytes, the limit is %d", p.total, p.policy.MaxBytes)
	}
	if least := p.policy.MinFree.of(p.room.Total); p.room.Free < least {
		return fmt.Sprintf("%d bytes are free on the file system, %d must be", p.room.Free, least)
	}
	return ""
}

func (p *plan) remove(i int, reason string) {
	if p.gone[i] {
		return
	}
	e := p.entries[i]
	p.gone[i] = true
	p.total -= e.Bytes
	p.room.Free += e.Bytes
	p.room.FreeInodes += e.Inodes
	p.removals = append(p.removals, Removal{ID: e.ID, Bytes: e.Bytes, Reason: reason})
}

// settled leaves out files of incidents that go as a whole in the end.
func (p *plan) settled() []Removal {
	whole := make(map[string]int64)
	for _, r := range p.removals {
		if r.Part == "" {
			whole[r.ID] = 0
		}
	}
	var list []Removal
	for _, r := range p.removals {
		bytes, goes := whole[r.ID]
		if r.Part != "" && goes {
			whole[r.ID] = bytes + r.Bytes
			continue
		}
		r.Bytes += bytes
		list = append(list, r)
	}
	return list
}

// kind is what incidents of the same death have in common.
func (e *Entry) kind() string {
	if e.Fingerprint == "" {
		return e.Service + "/" + string(e.Cause)
	}
	return e.Service + "/" + e.Fingerprint
}

// spare marks those to keep and the first and the newest of each kind. entries are
// oldest first.
func spare(entries []Entry) []bool {
	spared := make([]bool, len(entries))
	newest := make(map[string]int)
	for i, e := range entries {
		_, seen := newest[e.kind()]
		spared[i] = e.Keep || !seen
		newest[e.kind()] = i
	}
	for _, i := range newest {
		spared[i] = true
	}
	return spared
}

func total(entries []Entry) (bytes int64) {
	for _, e := range entries {
		bytes += e.Bytes
	}
	return bytes
}
