package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestPlan(t *testing.T) {
	// Ten incidents of 100 bytes, one a second: five of a, then five of b.
	var entries []Entry
	for n := range 10 {
		entries = append(entries, Entry{ID: fmt.Sprint(n), Time: at(n), Fingerprint: []string{"a", "b"}[n/5], Bytes: 100})
	}
	pinned := slices.Clone(entries)
	pinned[1].Keep, pinned[0].Keep = true, true
	for _, tt := range []struct {
		name    string
		policy  Policy
		entries []Entry
		free    int64
		want    string // ids in order
	}{
		{"no bound", Policy{}, entries, 0, ""},
		{"within", Policy{MaxBytes: 1000, MinFree: 10}, entries, 10, ""},
		{"bytes: oldest that are neither first nor newest", Policy{MaxBytes: 700}, entries, 0, "1 2 3"},
		{"bytes: pinned stays", Policy{MaxBytes: 700}, pinned, 0, "2 3 6"},
		{"bytes: the spared go when the others are gone", Policy{MaxBytes: 250}, entries, 0, "1 2 3 6 7 8 0 4"},
		{"bytes: the newest and the pinned never go", Policy{MaxBytes: 1}, pinned, 0, "2 3 6 7 8 4 5"},
		{"free", Policy{MinFree: 300}, entries, 150, "1 2"},
		{"age", Policy{MaxAge: 2500 * time.Millisecond}, entries, 0, "1 2 3 6"},
		{"age, then bytes", Policy{MaxAge: 6500 * time.Millisecond, MaxBytes: 700}, entries, 0, "1 2 3"},
	} {
		var ids []string
		for _, r := range tt.policy.Plan(tt.entries, tt.free, at(9)) {
			if r.Reason == "" {
				t.Errorf("%s: no reason for %s", tt.name, r.ID)
			}
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPlanHolds checks the promises of a plan on random stores.
func TestPlanHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entry {
			return Entry{
				ID:   rapid.StringMatching(`[a-f0-9]{8}`).Draw(t, "id"),
				Time: at(rapid.IntRange(0, 100).Draw(t, "time")), Fingerprint: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "fingerprint"),
				Bytes: rapid.Int64Range(0, 1000).Draw(t, "bytes"), Keep: rapid.Bool().Draw(t, "keep"),
			}
		}), 0, 30).Draw(t, "entries")
		policy := Policy{MaxBytes: rapid.Int64Range(0, 5000).Draw(t, "max"), MinFree: rapid.Int64Range(0, 5000).Draw(t, "min"),
			MaxAge: time.Duration(rapid.IntRange(0, 100).Draw(t, "age")) * time.Second}
		free := rapid.Int64Range(0, 5000).Draw(t, "free")
		byID := make(map[string]Entry)
		for _, e := range entries {
			byID[e.ID] = e
		}
		if len(byID) != len(entries) {
			t.Skip("ids are unique")
		}
		left, room := total(entries), free
		for _, r := range policy.Plan(entries, free, at(100)) {
			e, ok := byID[r.ID]
			if !ok || e.Keep {
				t.Fatalf("removed %+v (%v)", e, ok)
			}
			delete(byID, r.ID)
			left, room = left-r.Bytes, room+r.Bytes
		}
		if len(entries) > 0 && len(byID) == 0 {
			t.Fatal("nothing is left")
		}
		over := policy.MaxBytes > 0 && left > policy.MaxBytes || room < policy.MinFree
		removable := 0
		for _, e := range byID {
			if !e.Keep {
				removable++
			}
		}
		if over && removable > 1 {
			t.Fatalf("the policy is not met and %d could still go", removable)
		}
	})
}

func TestPrune(t *testing.T) {
	s := openStore(t)
	var made []snapshot.Incident
	for n := range 6 {
		made = append(made, add(t, s, "web", n, snapshot.Incident{Fingerprint: "v1:a"}))
	}
	unfinished := begin(t, s, "web", 6)
	corrupt := add(t, s, "web", 7, snapshot.Incident{})
	if err := os.WriteFile(filepath.Join(s.Root(), corrupt.ID, "incident.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.SetPinned(made[1].ID, true); err != nil {
			t.Fatal(err)
		}
	}
	removed, problems, err := s.Prune(Policy{MaxAge: time.Second}, at(1000))
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v %q", err, problems)
	}
	var ids []string
	for _, r := range removed {
		ids = append(ids, r.ID)
		if r.Bytes <= 0 || !strings.Contains(r.Reason, "limit is 1s") {
			t.Errorf("%+v", r)
		}
	}
	if want := []string{made[2].ID, made[3].ID, made[4].ID}; !slices.Equal(ids, want) {
		t.Fatalf("removed %q, want %q", ids, want)
	}
	if names := dirNames(t, s.Root()); len(names) != 5 {
		t.Errorf("left: %q", names)
	}
	for range 2 {
		if err := s.SetPinned(made[1].ID, false); err != nil {
			t.Fatal(err)
		}
	}
	if s.Pinned(made[1].ID) || !s.isActive(unfinished.ID()) {
		t.Error("pinned still, or not active")
	}
	removed, problems, err = s.Prune(Policy{MaxBytes: 1}, at(1000))
	if err != nil || len(removed) != 3 || len(problems) != 1 || !strings.Contains(problems[0], "nothing more may be removed") {
		t.Fatalf("%+v, %q, %v", removed, problems, err)
	}
	if names := dirNames(t, s.Root()); len(names) != 2 {
		t.Errorf("left: %q", names)
	}
}
