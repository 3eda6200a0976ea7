package supervisor

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func FuzzParseJobNote(f *testing.F) {
	whole, err := json.Marshal(jobNote{Incident: snapshot.Incident{Service: "web", Time: time.Unix(1e9, 0)}, Stage: stageCapture, Helper: "capture:web#3"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"stage":"begin"}`))
	f.Add([]byte(`{"incident":{"service":"s","time":"2026-01-01T00:00:00Z"},"stage":"\u0000"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseJobNote(b)
		if err != nil {
			return
		}
		_ = instanceOf(n.Helper)
		if n.Incident.Service == "" || len(newest(n.Moments, maxStory)) > len(n.Moments) {
			t.Errorf("note %+v", n)
		}
	})
}

func moments(boots ...time.Duration) (list []snapshot.Moment) {
	for _, b := range boots {
		list = append(list, snapshot.Moment{Boot: b, Text: "0123456789"})
	}
	return list
}

func TestStory(t *testing.T) {
	old, later := moments(1, 2, 3), moments(2, 3, 4, 5)
	all := follow(old, later)
	if len(all) != 5 || all[3].Boot != 4 || len(old) != 3 {
		t.Errorf("story %v", all)
	}
	if got := follow(nil, later); len(got) != 4 {
		t.Errorf("without a former one %v", got)
	}
	if got := newest(all, 2*(momentBytes+10)); len(got) != 2 || got[0].Boot != 4 {
		t.Errorf("newest %v", got)
	}
	if got := newest(all, 1<<20); len(got) != 5 {
		t.Errorf("all %v", got)
	}
}

func TestInstanceOf(t *testing.T) {
	for id, want := range map[string]uint64{"": 0, "capture:s#3": 3, "capture:s#": 0, "x#y": 0, "#18446744073709551616": 18446744073709551615} {
		if got := instanceOf(id); got != want {
			t.Errorf("%q: %d, not %d", id, got, want)
		}
	}
}
