package browser

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a token of the tests"

// rig is a server over a real store, asked over loopback.
type rig struct {
	t     *testing.T
	store *store.Store
	root  string
	s     *Server
	http  *httptest.Server
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	root := filepath.Join(t.TempDir(), "incidents")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: st, root: root}
	r.http = httptest.NewUnstartedServer(nil)
	o := Options{Version: "test", Token: token, Hosts: []string{r.http.Listener.Addr().String()}, Sources: []Source{{Name: "one", Path: root, Kind: "store", Reader: st}}}
	if change != nil {
		change(&o)
	}
	if r.s, err = New(o); err != nil {
		t.Fatal(err)
	}
	r.http.Config.Handler = r.s.Handler()
	r.http.Start()
	t.Cleanup(func() {
		r.s.Close()
		r.http.Close()
	})
	return r
}

// incident writes one with stacks.
func (r *rig) incident(service string, stacks *snapshot.Stacks, change func(*snapshot.Incident)) snapshot.Incident {
	r.t.Helper()
	w, err := r.store.Begin(store.Subject{Service: service, Instance: 1, PID: 42, Cause: snapshot.CauseHang}, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if stacks != nil {
		stacks.Schema = snapshot.SchemaVersion
		if err := w.WriteJSON(snapshot.FileStacks, stacks); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := w.WriteFile(snapshot.FileOutput, []byte("first line\nsecond line\n")); err != nil {
		r.t.Fatal(err)
	}
	if err := w.Pending(); err != nil {
		r.t.Fatal(err)
	}
	i := snapshot.Incident{Schema: snapshot.SchemaVersion, Service: service, Instance: 1, PID: 42, Time: time.Now().UTC(), Cause: snapshot.CauseHang, Sentence: "it hangs", Fingerprint: "v2:" + service}
	if change != nil {
		change(&i)
	}
	done, err := w.Complete(i)
	if err != nil {
		r.t.Fatal(err)
	}
	return done
}

// do sends a request with the token.
func (r *rig) do(method, path, body string, change func(*http.Request)) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.http.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(req)
	}
	// A client of its own: no connection stays open.
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 60 * time.Second}
	reply, err := c.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply, string(text)
}

// get reads an answer that must be good.
func get[T any](r *rig, path string, query ...string) (v T) {
	r.t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	reply, text := r.do("GET", api.Prefix+path+"?"+q.Encode(), "", nil)
	if reply.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %d %s", path, reply.StatusCode, text)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

// refuses checks that a request is answered with an error.
func (r *rig) refuses(method, path, body string, status int, change func(*http.Request)) {
	r.t.Helper()
	reply, text := r.do(method, path, body, change)
	var e api.Error
	if reply.StatusCode != status || json.Unmarshal([]byte(text), &e) != nil || e.Code == "" || e.Message == "" {
		r.t.Errorf("%s %s: %d %s, want %d with an error", method, path, reply.StatusCode, text, status)
	}
}

// deadlock is stacks in which two hold each other up, and others wait behind.
func deadlock(idle int) *snapshot.Stacks {
	frame := func(function, file string, line int) snapshot.Frame {
		return snapshot.Frame{Place: snapshot.Place{Function: function, File: file, Line: line}, PC: 0x1000}
	}
	lock := frame("internal/sync.(*Mutex).Lock", "/usr/local/go/src/internal/sync/mutex.go", 70)
	st := &snapshot.Stacks{
		Runtime: "go", Total: 53 + idle, Unwound: 53 + idle,
		Groups: []snapshot.Group{
			{Count: 1, Status: "waiting", WaitReason: "sync.Mutex.Lock", IDs: []int64{7}, Sample: 7, Frames: []snapshot.Frame{lock, {Place: snapshot.Place{Function: "main.transfer", File: "/src/bank.go", Line: 40},
				Arguments: []snapshot.Variable{{Name: "amount", Type: "int", Value: "70"}, {Name: "password", Type: "string", Masked: true}}}}},
			{Count: 1, Status: "waiting", WaitReason: "sync.Mutex.Lock", IDs: []int64{8}, Sample: 8, Frames: []snapshot.Frame{lock, frame("main.refund", "/src/bank.go", 60)}},
			{Count: 50, Status: "waiting", WaitReason: "sync.Mutex.Lock", Sample: 10, Frames: []snapshot.Frame{lock, frame("main.balance", "/src/bank.go", 80)},
				CreatedBy: &snapshot.Place{Function: "net/http.(*Server).Serve"}},
			{Count: 1, Status: "running", IDs: []int64{9}, Sample: 9, Frames: []snapshot.Frame{frame("main.main", "/src/main.go", 9)}},
		},
		Waits:     []snapshot.Wait{{Waiter: 7, Kind: "sync.Mutex.Lock", Address: 0xa, Holder: 8}, {Waiter: 8, Kind: "sync.Mutex.Lock", Address: 0xb, Holder: 7}},
		Deadlocks: []snapshot.Cycle{{Members: []int64{7, 8}, Behind: 50}},
	}
	for id := int64(10); id < 60; id++ {
		st.Groups[2].IDs = append(st.Groups[2].IDs, id)
		st.Groups[2].Members = append(st.Groups[2].Members, snapshot.Member{ID: id, Name: "worker-" + string(rune('a'+id%3)), Labels: []string{"tenant=" + string(rune('A'+id%2))}})
		st.Waits = append(st.Waits, snapshot.Wait{Waiter: id, Kind: "sync.Mutex.Lock", Address: 0xa, Holder: 7})
	}
	if idle > 0 {
		st.Groups = append(st.Groups, snapshot.Group{Count: idle, Status: "waiting", WaitReason: "IO wait", IDs: []int64{1000}, Sample: 1000, Idle: "it waits for a request",
			Frames: []snapshot.Frame{frame("net/http.(*conn).serve", "/usr/local/go/src/net/http/server.go", 2000)}})
	}
	return st
}
