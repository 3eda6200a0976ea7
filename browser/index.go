package browser

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// How old the index may be when somebody asks: of a store in which nothing is
// under way, and of one in which something is.
const (
	indexAge  = 5 * time.Second
	indexSoon = 250 * time.Millisecond
)

// entry is one incident of the index.
type entry struct {
	snapshot.Incident
	source *Source
	pinned bool
	stamp  string // of its manifest
}

func (e *entry) finished() bool {
	return e.Status == snapshot.StatusComplete || e.Status == snapshot.StatusPartial
}

// index knows the manifests of all sources. A manifest is read once, and again only
// when the store has taken a file out of the incident.
type index struct {
	sources []Source

	mu       sync.Mutex
	at       time.Time
	entries  map[string]*entry // by source and id
	list     []*entry          // newest first
	problems map[string][]string
	broken   map[string]string // of a source, why it cannot be listed
	bad      map[string]string // of an incident, why it cannot be read
	gone     map[string]bool   // has been there
	// changed is called with what was not there, or not finished, before.
	changed func(fresh []*entry, gone []string)
}

func newIndex(sources []Source) *index {
	return &index{sources: sources, entries: map[string]*entry{}, problems: map[string][]string{}, broken: map[string]string{}, bad: map[string]string{}, gone: map[string]bool{}}
}

// maxGone bounds what is remembered of removed incidents.
const maxGone = 10_000

// refresh looks at the sources when the last look is too long ago.
func (x *index) refresh(now time.Time, force bool) {
	x.mu.Lock()
	age := indexAge
	for _, e := range x.list[:min(len(x.list), 50)] {
		if !e.finished() {
			age = indexSoon
			break
		}
	}
	if !force && !x.at.IsZero() && now.Sub(x.at) < age {
		x.mu.Unlock()
		return
	}
	first := x.at.IsZero()
	x.at = now
	before := x.entries
	next := make(map[string]*entry, len(before))
	var fresh []*entry
	for i := range x.sources {
		fresh = append(fresh, x.look(&x.sources[i], before, next)...)
	}
	var gone []string
	for key, e := range before {
		if _, ok := next[key]; !ok {
			gone = append(gone, e.ID)
			if len(x.gone) < maxGone {
				x.gone[e.ID] = true
			}
		}
	}
	x.entries, x.list = next, make([]*entry, 0, len(next))
	for _, e := range next {
		x.list = append(x.list, e)
	}
	slices.SortFunc(x.list, func(a, b *entry) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(b.ID, a.ID))
	})
	changed := x.changed
	x.mu.Unlock()
	if changed != nil && !first && len(fresh)+len(gone) > 0 {
		changed(fresh, gone)
	}
}

// look lists one source.
func (x *index) look(src *Source, before, next map[string]*entry) (fresh []*entry) {
	ids, problems, err := src.Reader.IDs()
	delete(x.broken, src.Name)
	x.problems[src.Name] = problems
	if err != nil {
		x.broken[src.Name] = err.Error()
		return nil
	}
	for _, id := range ids {
		key := src.Name + "/" + id
		old := before[key]
		stamp := src.Reader.Stamp(id) // before the manifest is read: a change in between is seen next time
		if old != nil && old.finished() && stamp == old.stamp {
			if pinned := src.Reader.Pinned(id); pinned != old.pinned {
				again := *old
				again.pinned, old = pinned, &again
			}
			next[key] = old
			continue
		}
		i, err := src.Reader.Head(id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			x.problems[src.Name] = append(x.problems[src.Name], fmt.Sprintf("cannot read incident %s: %v", id, err))
			continue
		}
		e := &entry{Incident: i, source: src, pinned: src.Reader.Pinned(id), stamp: stamp}
		next[key] = e
		if old == nil || !old.finished() && e.finished() {
			fresh = append(fresh, e)
		}
	}
	return fresh
}

// all returns the incidents, newest first, and what could not be read.
func (x *index) all() (list []*entry, problems []string) {
	x.refresh(time.Now(), false)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, src := range x.sources {
		if why := x.broken[src.Name]; why != "" {
			problems = append(problems, src.Name+": "+why)
		}
		problems = append(problems, x.problems[src.Name]...)
	}
	return x.list, problems
}

func (x *index) problem(source string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.broken[source]
}

// find returns an incident by its whole id. One that was there is errGone.
func (x *index) find(id string) (*entry, error) {
	for _, force := range []bool{false, true} {
		x.refresh(time.Now(), force)
		x.mu.Lock()
		for _, src := range x.sources {
			if e := x.entries[src.Name+"/"+id]; e != nil {
				x.mu.Unlock()
				return e, nil
			}
		}
		gone := x.gone[id]
		x.mu.Unlock()
		if gone {
			return nil, errGone
		}
	}
	return nil, errNoIncident(id)
}

// unfinished says whether evidence of one of the newest is still being taken.
func (x *index) unfinished() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.list[:min(len(x.list), 50)] {
		if !e.finished() {
			return true
		}
	}
	return false
}
