package browser

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Whatever is asked for gets an answer, and none of them is 500.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{{"incidents", "q=x&offset=1"}, {"incidents/x/stacks", "by=top"}, {"occurrences", "fingerprint=%00"}, {"incidents/../../x", ""},
		{"incidents/x/groups/0/source", "frame=1"}, {"incidents/x/export", "format=html&share=1"}} {
		f.Add(seed[0], seed[1])
	}
	s, err := New(Options{Hosts: []string{"here"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, path, query string) {
		if path == "live" {
			return // does not end
		}
		r := &http.Request{Method: "GET", URL: &url.URL{Path: api.Prefix + path, RawQuery: query}, Host: "here", Header: http.Header{}}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%q %q: %d %s", path, query, w.Code, w.Body)
		}
	})
}

// Stacks come from a file that anybody may have written: every view ends, and
// loses nobody.
func FuzzViews(f *testing.F) {
	for _, st := range []*snapshot.Stacks{deadlock(3), {}, {Groups: []snapshot.Group{{Count: -5}}}} {
		text, err := json.Marshal(st)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var st snapshot.Stacks
		if json.Unmarshal(text, &st) != nil {
			return
		}
		for _, by := range api.Groupings() {
			got := view.Stacks(&st, view.Query{By: by, Idle: true, Limit: api.MaxGroups}, view.Context{})
			if len(got.Groups) > api.MaxGroups {
				t.Errorf("by %s: %d groups", by, len(got.Groups))
			}
		}
		for n := range st.Groups[:min(len(st.Groups), 10)] {
			view.Detail(&st, nil, n, view.Context{})
		}
		if w := view.Waits(&st); len(w.Nodes) > api.MaxNodes {
			t.Errorf("%d nodes", len(w.Nodes))
		}
		view.Flame(&st, true)
		view.Compare(&st, &st)
		var samples snapshot.Samples
		_ = json.Unmarshal(text, &samples)
		view.Timeline(&snapshot.Incident{}, nil, &samples, text)
	})
}
