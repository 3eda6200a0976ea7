package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReopenAndSignal(t *testing.T) {
	_, path := start(t, &fake{}, os.Geteuid())
	own := fmt.Sprintf("pid %d (%s) uid %d", os.Getpid(), filepath.Base(os.Args[0])[:min(15, len(filepath.Base(os.Args[0])))], os.Geteuid())
	for _, tt := range []struct {
		name, method, route, body string
		status                    int
		want                      string
	}{
		{"reopen", "POST", "/v1/reopen", `{}`, 200, `"stale":[]`},
		{"reopen one", "POST", "/v1/reopen", `{"services":["web"]}`, 200, `"service":"web"`},
		{"reopen unknown", "POST", "/v1/reopen", `{"services":["wbe"]}`, 404, `"not-found"`},
		{"reopen, unknown field", "POST", "/v1/reopen", `{"service":"web"}`, 400, "unknown field"},
		{"reopen, too many", "POST", "/v1/reopen", `{"services":["x"` + strings.Repeat(`,"x"`, MaxServices) + `]}`, 400, "more than"},
		{"reopen by GET", "GET", "/v1/reopen", "", 405, "only POST"},
		{"signal", "POST", "/v1/signal", `{"signal":"USR1","services":["web"]}`, 200, own},
		{"no such signal", "POST", "/v1/signal", `{"signal":"NOPE","services":["web"]}`, 400, `"bad-request"`},
		{"signal to nobody", "POST", "/v1/signal", `{"signal":"USR1"}`, 400, "no service"},
		{"snapshot", "POST", "/v1/snapshot", `{"services":["web"]}`, 200, `"incident":"x"`},
		{"snapshot of nobody", "POST", "/v1/snapshot", `{}`, 400, "no service"},
		{"snapshot of a stranger", "POST", "/v1/snapshot", `{"services":["wbe"]}`, 404, `"not-found"`},
		{"snapshot, too many", "POST", "/v1/snapshot", `{"services":["x"` + strings.Repeat(`,"x"`, MaxServices) + `]}`, 400, "more than"},
		{"no signal", "POST", "/v1/signal", `{"services":["web"]}`, 400, "no signal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply, body := request(t, path, tt.method, tt.route, tt.body)
			if reply.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s, want %d %s", reply.StatusCode, body, tt.status, tt.want)
			}
		})
	}
}

func FuzzDecodeSignal(f *testing.F) {
	f.Add([]byte(`{"signal":"TERM","services":["web"]}`))
	f.Add([]byte(`{"services":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if a, err := decodeSignal(bytes.NewReader(body)); err == nil && (a.Signal == "" || len(a.Services) == 0 || len(a.Services) > MaxServices) {
			t.Errorf("%q became %+v", body, a)
		}
		if r, err := decodeSnapshot(bytes.NewReader(body)); err == nil && (len(r.Services) == 0 || len(r.Services) > MaxServices) {
			t.Errorf("%q became a snapshot of %d services", body, len(r.Services))
		}
		if r, err := decodeReopen(bytes.NewReader(body)); err == nil && len(r.Services) > MaxServices {
			t.Errorf("%q became %+v", body, r)
		}
	})
}
