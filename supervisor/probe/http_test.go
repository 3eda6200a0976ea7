package probe

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is a server with a good and many a bad page.
func site(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-State", "st\u00e4te\u202e up")
		_, _ = io.WriteString(w, "host "+r.Host+", token "+r.Header.Get("X-Token")+", "+r.Method+"\nall is well\n")
	})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/bad", http.StatusFound) })
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			c.Close()
		}
	})
	mux.HandleFunc("/short", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "less")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	})
	return mux
}

func httpProbe(t *testing.T, h HTTP) Runner {
	t.Helper()
	r, err := NewHTTP(h)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, r)
	return r
}

func TestHTTP(t *testing.T) {
	srv := httptest.NewServer(site(t))
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		h    HTTP
		ok   bool
		text string
	}{
		{HTTP{URL: "/ok"}, true, "status 200 after "},
		{HTTP{URL: "/ok", Method: "POST", Headers: map[string]string{"host": "example.org", "X-Token": "5"}, Body: "host example.org, token 5, POST\n"}, true, "status 200"},
		{HTTP{URL: "/ok", Status: []int{201, 204}}, false, "status 200, not one of [201 204]"},
		{HTTP{URL: "/ok", Body: "^all is lost"}, false, `status 200, but the body does not match "^all is lost" in its first 64 KiB`},
		{HTTP{URL: "/ok", Header: map[string]string{"x-state": "up$"}}, true, "status 200"},
		{HTTP{URL: "/ok", Header: map[string]string{"x-state": "down"}}, false, `status 200, but header x-state is "stäte\u202e up" and does not match "down"`},
		{HTTP{URL: "/ok", Header: map[string]string{"x-other": ""}}, false, "status 200, but there is no header x-other"},
		{HTTP{URL: "/bad"}, false, "status 503, not one of 200 to 399"},
		{HTTP{URL: "/bad", Status: []int{503}}, true, "status 503"},
		{HTTP{URL: "/away"}, true, "status 302"},
		{HTTP{URL: "/cut"}, false, "the connection was closed without an answer"},
		{HTTP{URL: "/short", Body: "more"}, false, "status 200, but the body breaks off: unexpected EOF"},
		{HTTP{URL: "/slow"}, true, "status 200"},
		{HTTP{URL: "/endless", Body: "y"}, false, "the body does not match"},
		{HTTP{URL: "/endless"}, true, "status 200"},
	} {
		path := c.h.URL
		c.h.URL = srv.URL + path
		t.Run(strings.TrimPrefix(path, "/"), func(t *testing.T) {
			r := httpProbe(t, c.h)
			for range 2 {
				want(t, r, most, c.ok, 1, c.text)
			}
		})
	}
}

func TestHTTPHangs(t *testing.T) {
	srv := httptest.NewServer(site(t))
	t.Cleanup(srv.Close)
	const short = 200 * time.Millisecond
	want(t, httpProbe(t, HTTP{URL: srv.URL + "/hang"}), short, false, 1, "no answer within T")
	want(t, httpProbe(t, HTTP{URL: srv.URL + "/slow", Body: "end"}), short, false, 1, "status 200, but the body does not end: no answer within T")
	silent := "http://" + listen(t).Addr().String()
	want(t, httpProbe(t, HTTP{URL: silent}), short, false, 1, "no answer within T")
	want(t, httpProbe(t, HTTP{URL: "https" + silent[4:]}), short, false, 0, "no answer within T")
	want(t, httpProbe(t, HTTP{URL: "http://" + closedAddress(t)}), most, false, 0, "connection to 127.0.0.1:", " refused: nobody listens")
}

func TestHTTPUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(site(t))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	r := httpProbe(t, HTTP{URL: "http://localhost/ok", Unix: path, Body: "host localhost,"})
	want(t, r, most, true, 1, "status 200")
	srv.Close()
	want(t, r, most, false, 0, "no socket "+path)
}

func TestHTTPS(t *testing.T) {
	srv := httptest.NewUnstartedServer(site(t))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(site(t))
	t.Cleanup(plain.Close)
	for _, c := range []struct {
		h    HTTP
		ok   bool
		text string
	}{
		{HTTP{URL: srv.URL + "/ok"}, false, "certificate: signed by an authority that is not trusted"},
		{HTTP{URL: srv.URL + "/ok", Insecure: true}, true, "status 200"},
		{HTTP{URL: srv.URL + "/ok", CA: ca}, true, "status 200"},
		{HTTP{URL: srv.URL + "/ok", CA: ca, ServerName: "example.com"}, true, "status 200"},
		{HTTP{URL: srv.URL + "/ok", CA: ca, ServerName: "vigil.invalid"}, false, "certificate: x509: certificate is valid for example.com"},
		{HTTP{URL: "https" + plain.URL[4:]}, false, "TLS: the answer is not TLS: does the port speak plain HTTP?"},
		{HTTP{URL: "http" + srv.URL[5:]}, false, "status 400"},
	} {
		sent := 0
		if c.ok || strings.HasPrefix(c.text, "status") {
			sent = 1
		}
		want(t, httpProbe(t, c.h), most, c.ok, sent, c.text)
	}
}

func TestNewHTTPRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, h := range []HTTP{
		{}, {URL: "ftp://a/"}, {URL: "http:///x"}, {URL: "http://a:b:c/"}, {URL: "http://a", Method: "a b"},
		{URL: "http://a", Body: "("}, {URL: "http://a", Header: map[string]string{"x": "("}},
		{URL: "https://a", CA: empty}, {URL: "https://a", CA: empty + "-not"},
	} {
		if r, err := NewHTTP(h); err == nil || r != nil {
			t.Errorf("%+v is taken", h)
		} else {
			t.Log(err)
		}
	}
}
