package browser

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// TestRemovedByQuota: what the store takes out of an incident after it was listed is
// shown as removed, in the list and in the incident.
func TestRemovedByQuota(t *testing.T) {
	r := newRig(t, nil)
	large := deadlock(2)
	large.Notes = []string{strings.Repeat("a long note ", 10_000)}
	old := r.incident("web", large, nil)
	last := r.incident("web", nil, nil)
	state := func() api.Badge {
		r.s.index.refresh(time.Now(), true)
		for _, o := range get[api.Occurrences](r, "occurrences").Occurrences {
			if o.ID == old.ID {
				return o.Badges[slices.IndexFunc(o.Badges, func(b api.Badge) bool { return b.Name == "stacks" })]
			}
		}
		return api.Badge{}
	}
	if b := state(); b.State != "ok" {
		t.Fatalf("%+v", b)
	}
	removed, problems, err := r.store.Prune(store.Policy{MaxBytes: old.Bytes + last.Bytes - 1}, time.Now())
	if err != nil || len(removed) != 1 || removed[0].Part != "stacks.json" {
		t.Fatalf("%+v, %q, %v", removed, problems, err)
	}
	if b := state(); b.State != "removed" || !strings.Contains(b.Why, "removed by quota") {
		t.Errorf("%+v", b)
	}
	one := get[api.Incident](r, "incidents/"+old.ID)
	if len(one.Incident.Removed) != 1 || !slices.ContainsFunc(one.Problems, func(p string) bool { return strings.Contains(p, "removed by quota") }) {
		t.Errorf("%+v, %q", one.Incident.Removed, one.Problems)
	}
}
