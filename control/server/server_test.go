package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what should happen at once.
const patience = 20 * time.Second

func start(t *testing.T, b control.Backend, owner int) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), control.SocketName)
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(ln, b, owner)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Err(); err != nil {
			t.Error(err)
		}
	})
	return s, path
}

func request(t *testing.T, path, method, route, body string) (*http.Response, string) {
	t.Helper()
	reply := open(t, path, method, route, body)
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, string(text)
}

func open(t *testing.T, path, method, route, body string) *http.Response {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, "http://x"+route, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestReplies(t *testing.T) {
	_, path := start(t, &fake{lines: []control.Line{{Text: "one"}, {Text: "two"}}}, os.Geteuid())
	tests := []struct {
		name, method, route, body string
		status                    int
		want                      string // in the reply
	}{
		{"instance", "GET", "/v1/instance", "", 200, `"keeper_pid":7`},
		{"services", "GET", "/v1/services", "", 200, `[{"service":"web"`},
		{"one service", "GET", "/v1/services?service=web", "", 200, `[{"service":"web"`},
		{"unknown service", "GET", "/v1/services?service=nope", "", 404, `"code":"not-found"`},
		{"ask", "POST", "/v1/ask", `{"verb":"stop","services":["web"],"wait":true}`, 200, `"done":true`},
		{"conflict", "POST", "/v1/ask", `{"verb":"stop","services":["busy"]}`, 409, `"code":"conflict"`},
		{"unknown verb", "POST", "/v1/ask", `{"verb":"dance","services":["web"]}`, 400, "dance"},
		{"no service", "POST", "/v1/ask", `{"verb":"stop","services":[]}`, 400, "no service"},
		{"unknown field", "POST", "/v1/ask", `{"verb":"stop","services":["web"],"gently":true}`, 400, "gently"},
		{"two values", "POST", "/v1/ask", `{"verb":"stop","services":["web"]}{}`, 400, "more than one"},
		{"not JSON", "POST", "/v1/ask", `stop web`, 400, `"code":"bad-request"`},
		{"empty", "POST", "/v1/ask", ``, 400, `"code":"bad-request"`},
		{"too large", "POST", "/v1/ask", `{"verb":"` + strings.Repeat("x", MaxBody) + `"}`, 413, `"code":"bad-request"`},
		{"wrong method", "GET", "/v1/ask", "", 405, `"code":"bad-request"`},
		{"wrong route", "GET", "/v2/ask", "", 404, `"code":"bad-request"`},
		{"logs", "GET", "/v1/logs?service=web&lines=1", "", 200, `"text":"two"`},
		{"logs of nobody", "GET", "/v1/logs?service=nope", "", 404, `"code":"not-found"`},
		{"logs without service", "GET", "/v1/logs", "", 400, "exactly one"},
		{"logs negative", "GET", "/v1/logs?service=web&lines=-1", "", 400, "lines"},
		{"logs follow", "GET", "/v1/logs?service=web&follow=yes", "", 400, "follow"},
		{"events", "GET", "/v1/events", "", 200, `"kind":"state"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reply, body := request(t, path, test.method, test.route, test.body)
			if reply.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s, want %d with %s", reply.StatusCode, body, test.status, test.want)
			}
			if v := reply.Header.Get(HeaderVersion); v != "1" {
				t.Errorf("version %q", v)
			}
			var e control.Error
			if reply.StatusCode != 200 && (json.Unmarshal([]byte(body), &e) != nil || e.Code == "" || e.Message == "") {
				t.Errorf("not an error of the API: %s", body)
			}
		})
	}
}

func TestStrangerIsRefused(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root is never refused; TestAllow has the rule")
	}
	_, path := start(t, &fake{}, os.Geteuid()+1)
	reply, body := request(t, path, "GET", "/v1/services", "")
	if reply.StatusCode != 403 || !strings.Contains(body, CodeForbidden) {
		t.Errorf("got %d %s", reply.StatusCode, body)
	}
}

func TestAllow(t *testing.T) {
	s := &Server{owner: 1000}
	for _, test := range []struct {
		c    net.Conn
		good bool
	}{
		{&conn{uid: 0}, true},
		{&conn{uid: 1000}, true},
		{&conn{uid: 1001}, false},
		{&conn{uid: 0, err: errors.New("no credentials")}, false},
		{nil, false},
	} {
		r, err := http.NewRequestWithContext(context.WithValue(context.Background(), connKey{}, test.c), "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.allow(r); (err == nil) != test.good {
			t.Errorf("%+v: %v", test.c, err)
		}
	}
}

func TestGuardRefusesInWords(t *testing.T) {
	// A connection that is not of a unix socket has no user.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(ln, &fake{}, 0)
	defer func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + ln.Addr().String() + "/v1/services")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != 403 || !strings.Contains(string(body), "cannot tell who asks") {
		t.Errorf("got %d %s %v", reply.StatusCode, body, err)
	}
}

func TestFollowSendsAtOnceAndEndsWithShutdown(t *testing.T) {
	f := &fake{more: make(chan control.Line), ended: make(chan error, 1)}
	s, path := start(t, f, os.Geteuid())
	replies := make(chan *http.Response, 1)
	go func() { replies <- open(t, path, "GET", "/v1/logs?service=web&lines=0&follow=1", "") }()
	give(t, f.more, control.Line{Text: "first"})
	reply := receive(t, replies)
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"first"`) {
		t.Fatalf("got %q %v", lines.Text(), lines.Err())
	}
	give(t, f.more, control.Line{Text: "second"})
	if !lines.Scan() || !strings.Contains(lines.Text(), `"second"`) {
		t.Fatalf("got %q %v", lines.Text(), lines.Err())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, f.ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the backend ended with %v", err)
	}
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("got %q %v", lines.Text(), lines.Err())
	}
	if why := reply.Trailer.Get(TrailerError); !strings.Contains(why, control.CodeShutdown) {
		t.Errorf("trailer %q", why)
	}
}

func TestFollowEndsWithClient(t *testing.T) {
	f := &fake{more: make(chan control.Line), ended: make(chan error, 1)}
	_, path := start(t, f, os.Geteuid())
	replies := make(chan *http.Response, 1)
	go func() { replies <- open(t, path, "GET", "/v1/logs?service=web&lines=0&follow=1", "") }()
	give(t, f.more, control.Line{Text: "first"})
	reply := receive(t, replies)
	if err := reply.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, f.ended); err == nil {
		t.Error("the backend ended without an error")
	}
}

func TestStreamThatFailsSaysWhy(t *testing.T) {
	f := &fake{lines: []control.Line{{Text: "one"}}, logsErr: errors.New("cannot read\nthe rest")}
	_, path := start(t, f, os.Geteuid())
	reply, body := request(t, path, "GET", "/v1/logs?service=web", "")
	if reply.StatusCode != 200 || !strings.Contains(body, "one") {
		t.Fatalf("got %d %s", reply.StatusCode, body)
	}
	var e control.Error
	if err := json.Unmarshal([]byte(reply.Trailer.Get(TrailerError)), &e); err != nil {
		t.Fatal(err)
	}
	if e.Code != control.CodeFailed || e.Message != "cannot read\nthe rest" {
		t.Errorf("got %+v", e)
	}
}

func TestShutdownWaitsForOrders(t *testing.T) {
	f := &fake{asked: make(chan control.Ask), release: make(chan struct{})}
	s, path := start(t, f, os.Geteuid())
	replies := make(chan *http.Response, 1)
	go func() {
		replies <- open(t, path, "POST", "/v1/ask", `{"verb":"stop","services":["web"],"wait":true}`)
	}()
	receive(t, f.asked)
	short, cancel := context.WithCancel(context.Background())
	cancel() // no patience at all
	done := make(chan error, 1)
	go func() { done <- s.http.Shutdown(short) }()
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown did not wait: %v", err)
	}
	close(f.release)
	reply := receive(t, replies)
	defer reply.Body.Close()
	if reply.StatusCode != 200 {
		t.Errorf("got %d", reply.StatusCode)
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), control.SocketName)
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("got %v %v", info, err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	// A killed vigil leaves the path behind.
	if err := first.UnixListener.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path)
	if err != nil {
		t.Fatalf("stale: %v", err)
	}
	// The late end of the first must not take the path of the second away.
	_ = first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the path of the second is gone: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || errors.Is(err, ErrInUse) {
		t.Errorf("a file: %v", err)
	}
	if _, err := Listen("/" + strings.Repeat("x", 120)); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("long: %v", err)
	}
}

func give[T any](t *testing.T, c chan<- T, v T) {
	t.Helper()
	select {
	case c <- v:
	case <-time.After(patience):
		t.Fatal("nobody took it")
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}
