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
	// Ten incidents of 100 bytes and 3 inodes, one a second: five of a, then five of b.
	var entries []Entry
	for n := range 10 {
		entries = append(entries, Entry{ID: fmt.Sprint(n), Time: at(n), Fingerprint: []string{"a", "b"}[n/5], Bytes: 100, Inodes: 3})
	}
	pinned := slices.Clone(entries)
	pinned[1].Keep, pinned[0].Keep = true, true
	large := slices.Clone(entries)
	for n := range large { // 60 of the 100 bytes are memory, 20 what a collector found
		large[n].Parts = []Part{{"core", 60}, {"tree.json", 20}}
	}
	reading := slices.Clone(entries)
	for n := range reading {
		reading[n].Parts = []Part{{"stacks.json", 90}}
	}
	services := slices.Clone(entries)
	services[1].Service, services[2].Service = "other", "other"
	for _, tt := range []struct {
		name    string
		policy  Policy
		entries []Entry
		room    Room
		want    string // ids in order
	}{
		{"no bound", Policy{}, entries, Room{}, ""},
		{"within", Policy{MaxBytes: 1000, MinFree: Floor{Least: 10}, MaxPerFingerprint: 5}, entries, Room{Free: 10}, ""},
		{"bytes: oldest that are neither first nor newest", Policy{MaxBytes: 700}, entries, Room{}, "1 2 3"},
		{"bytes: pinned stays", Policy{MaxBytes: 700}, pinned, Room{}, "2 3 6"},
		{"bytes: the spared go when the others are gone", Policy{MaxBytes: 250}, entries, Room{}, "1 2 3 6 7 8 0 4"},
		{"bytes: the newest and the pinned never go", Policy{MaxBytes: 1}, pinned, Room{}, "2 3 6 7 8 4 5"},
		{"bytes: the first of another service is another first", Policy{MaxBytes: 700}, services, Room{}, "3 6 7"},
		{"free", Policy{MinFree: Floor{Least: 300}}, entries, Room{Free: 150}, "1 2"},
		{"free: a share", Policy{MinFree: Floor{Least: 1, Percent: 30}}, entries, Room{Free: 150, Total: 1000}, "1 2"},
		{"inodes", Policy{MinFreeInodes: Floor{Percent: 10}}, entries, Room{FreeInodes: 96, Inodes: 1000}, "1 2"},
		{"inodes: no file of evidence for one", Policy{MinFreeInodes: Floor{Percent: 10}}, large, Room{FreeInodes: 98, Inodes: 1000}, "1"},
		{"inodes: made as needed", Policy{MinFreeInodes: Floor{Percent: 10}}, entries, Room{}, ""},
		{"age", Policy{MaxAge: 2500 * time.Millisecond}, entries, Room{}, "1 2 3 6"},
		{"age, then bytes", Policy{MaxAge: 6500 * time.Millisecond, MaxBytes: 700}, entries, Room{}, "1 2 3"},
		{"alike: the oldest between first and newest", Policy{MaxPerFingerprint: 3}, entries, Room{}, "1 2 6 7"},
		{"alike: at least two", Policy{MaxPerFingerprint: 1}, entries, Room{}, "1 2 3 6 7 8"},
		{"alike: pinned counts and stays", Policy{MaxPerFingerprint: 3}, pinned, Room{}, "2 3 6 7"},
		{"alike, of each service", Policy{MaxPerFingerprint: 2}, services, Room{}, "3 6 7 8"},
		{"parts: memory of the spared before the rest of others", Policy{MaxBytes: 590}, large, Room{}, "1/core 2/core 3/core 6/core 7/core 8/core 0/core"},
		{"parts: then large files", Policy{MaxBytes: 450}, large, Room{},
			"1/core 2/core 3/core 6/core 7/core 8/core 0/core 4/core 5/core 1/tree.json"},
		{"parts: then incidents, whose parts are not told", Policy{MaxBytes: 201}, large, Room{},
			"7/core 8/core 0/core 4/core 5/core 7/tree.json 8/tree.json 0/tree.json 4/tree.json 5/tree.json 1 2 3 6"},
		{"parts: stacks of the spared last but them", Policy{MaxBytes: 300}, reading, Room{}, "1 2 3 6 7 8 0/stacks.json 4/stacks.json"},
		{"parts: for free space too", Policy{MinFree: Floor{Least: 100}}, large, Room{Free: 30}, "1/core 2/core"},
	} {
		var got []string
		for _, r := range tt.policy.Plan(tt.entries, tt.room, at(9)) {
			if r.Reason == "" {
				t.Errorf("%s: no reason for %s", tt.name, r.ID)
			}
			got = append(got, strings.TrimSuffix(r.ID+"/"+r.Part, "/"))
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPlanHolds checks the promises of a plan on random stores.
func TestPlanHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 30).Draw(t, "entries")
		policy := Policy{
			MaxBytes: rapid.Int64Range(0, 5000).Draw(t, "max"), MinFree: Floor{Least: rapid.Int64Range(0, 5000).Draw(t, "min")},
			MinFreeInodes: Floor{Least: rapid.Int64Range(0, 50).Draw(t, "inodes")}, MaxPerFingerprint: rapid.IntRange(0, 5).Draw(t, "alike"),
			MaxAge: time.Duration(rapid.IntRange(0, 100).Draw(t, "age")) * time.Second,
		}
		room := Room{Free: rapid.Int64Range(0, 5000).Draw(t, "free"), FreeInodes: rapid.Int64Range(0, 50).Draw(t, "free inodes"), Inodes: 1000}
		byID := make(map[string]Entry)
		for _, e := range entries {
			byID[e.ID] = e
		}
		if len(byID) != len(entries) {
			t.Skip("ids are unique")
		}
		left := total(entries)
		for _, r := range policy.Plan(entries, room, at(100)) {
			e, ok := byID[r.ID]
			if !ok || e.Keep {
				t.Fatalf("removed %+v (%v)", e, ok)
			}
			if r.Part == "" {
				room.FreeInodes += e.Inodes
				delete(byID, r.ID)
			} else {
				n := slices.IndexFunc(e.Parts, func(p Part) bool { return p.Name == r.Part && p.Bytes == r.Bytes })
				if n < 0 {
					t.Fatalf("removed %+v of %+v", r, e)
				}
				room.FreeInodes++
				e.Parts, e.Bytes, e.Inodes = slices.Delete(slices.Clone(e.Parts), n, n+1), e.Bytes-r.Bytes, e.Inodes-1
				byID[r.ID] = e
			}
			left, room.Free = left-r.Bytes, room.Free+r.Bytes
		}
		if len(entries) > 0 && len(byID) == 0 {
			t.Fatal("nothing is left")
		}
		var kept int64
		removable := 0
		for _, e := range byID {
			kept += e.Bytes
			if !e.Keep {
				removable++
			}
		}
		if kept != left {
			t.Fatalf("%d bytes are kept, and the plan says %d", kept, left)
		}
		rest := plan{policy: policy, total: left, room: room}
		if why := rest.want(); why != "" && removable > 1 {
			t.Fatalf("%s, and %d could still go", why, removable)
		}
	})
}

func drawEntry(t *rapid.T) Entry {
	e := Entry{
		ID:   rapid.StringMatching(`[a-f0-9]{8}`).Draw(t, "id"),
		Time: at(rapid.IntRange(0, 100).Draw(t, "time")), Fingerprint: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "fingerprint"),
		Bytes: rapid.Int64Range(0, 1000).Draw(t, "bytes"), Inodes: 1, Keep: rapid.Bool().Draw(t, "keep"),
	}
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"core", "tree.json", "stacks.json"}), rapid.ID).Draw(t, "parts") {
		p := Part{Name: name, Bytes: rapid.Int64Range(1, 500).Draw(t, name)}
		e.Parts, e.Bytes, e.Inodes = append(e.Parts, p), e.Bytes+p.Bytes, e.Inodes+1
	}
	return e
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
