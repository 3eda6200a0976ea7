package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers on a socket with a handler; the real server is a package of
// the same floor, and the scripts of cmd/vigil put the two together.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln)
	}()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = s.Close()
		<-done
	})
	return c
}

func reply(t *testing.T, w http.ResponseWriter, v any) {
	t.Helper()
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func TestRequests(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case control.RouteInstance:
			reply(t, w, control.Instance{Name: "x"})
		case control.RouteServices:
			reply(t, w, []control.Service{{Service: strings.Join(r.URL.Query()["service"], "+")}})
		case control.RouteAsk:
			var a control.Ask
			if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
				t.Error(err)
			}
			reply(t, w, []control.Result{{Service: a.Services[0], State: string(a.Verb), Done: a.Wait}})
		}
	})
	ctx := context.Background()
	if i, err := c.Instance(ctx); err != nil || i.Name != "x" {
		t.Errorf("instance: %+v %v", i, err)
	}
	if s, err := c.Services(ctx, []string{"a", "b&c"}); err != nil || len(s) != 1 || s[0].Service != "a+b&c" {
		t.Errorf("services: %+v %v", s, err)
	}
	r, err := c.Ask(ctx, control.Ask{Verb: control.Stop, Services: []string{"a"}, Wait: true})
	if err != nil || len(r) != 1 || r[0] != (control.Result{Service: "a", State: "stop", Done: true}) {
		t.Errorf("ask: %+v %v", r, err)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		status   int
		body     string
		code     string
		sentinel error
	}{
		{404, `{"code":"not-found","error":"no x"}`, control.CodeNotFound, control.ErrNotFound},
		{409, `{"code":"conflict","error":"busy"}`, control.CodeConflict, control.ErrConflict},
		{503, `{"code":"shutting-down","error":"ends"}`, control.CodeShutdown, control.ErrShutdown},
		{403, `{"code":"forbidden","error":"not you"}`, "forbidden", nil},
		{502, `<html>`, "", nil},
		{500, `{}`, "", nil},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			_, err := c.Services(context.Background(), nil)
			e, ok := errors.AsType[*Error](err)
			if ok != (test.code != "") || ok && (e.Code != test.code || e.Status != test.status) {
				t.Errorf("got %#v", err)
			}
			if test.sentinel != nil && !errors.Is(err, test.sentinel) {
				t.Errorf("%v is not %v", err, test.sentinel)
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestNotRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if _, err := Dial(path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("absent: %v", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale: %v", err)
	}
	if _, err := c.Instance(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("gone: %v", err)
	}
}

func TestStream(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("service") != "web" || q.Get("lines") != "5" || q.Get("follow") != "1" {
			t.Errorf("got %v", q)
		}
		reply(t, w, control.Line{Text: "one"})
		reply(t, w, control.Line{Text: "two"})
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		w.Header().Set(http.TrailerPrefix+trailerError, `{"code":"shutting-down","error":"vigil ends"}`)
	})
	var got []string
	err := c.Logs(context.Background(), "web", 5, true, func(l control.Line) error {
		got = append(got, l.Text)
		return nil
	})
	if !errors.Is(err, control.ErrShutdown) || strings.Join(got, " ") != "one two" {
		t.Errorf("got %v and %v", got, err)
	}
}

func TestStreamEnds(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(t, w, control.Event{Seq: 1}) })
	stop := errors.New("enough")
	if err := c.Events(context.Background(), false, func(control.Event) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	if err := c.Events(context.Background(), false, func(control.Event) error { return nil }); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestStreamOfRubbish(t *testing.T) {
	for name, body := range map[string]string{"no JSON": "hello\n", "endless line": `"` + strings.Repeat("x", maxLine+1)} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
			if err := c.Events(context.Background(), false, func(control.Event) error { return nil }); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestStreamIsCut(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		reply(t, w, control.Event{Seq: 1})
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler) // as a killed vigil would
	})
	seen := 0
	err := c.Events(context.Background(), true, func(control.Event) error { seen++; return nil })
	if err == nil || seen != 1 {
		t.Errorf("saw %d, %v", seen, err)
	}
}
