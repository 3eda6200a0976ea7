package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/browser/api"
)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestWhoMayAsk(t *testing.T) {
	r := newRig(t, nil)
	about := api.Prefix + "about"
	for name, change := range map[string]func(*http.Request){
		"no token":      func(r *http.Request) { r.Header.Del("Authorization") },
		"another token": header("Authorization", "Bearer another"),
		"no Bearer":     header("Authorization", token),
		"empty token":   header("Authorization", "Bearer "),
		"wrong cookie": func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "vigil_1", Value: "x"})
		},
	} {
		t.Run(name, func(t *testing.T) { r.refuses("GET", about, "", http.StatusUnauthorized, change) })
	}
	if reply, _ := r.do("GET", about, "", nil); reply.StatusCode != http.StatusOK || reply.Header.Get("Vigil-Browser-Api") != "1" {
		t.Errorf("with the token: %v", reply)
	}
}

// A name that somebody made lead here is not ours (DNS rebinding).
func TestOtherHosts(t *testing.T) {
	r := newRig(t, nil)
	for _, host := range []string{"evil.example", "127.0.0.1", "localhost:80", ""} {
		r.refuses("GET", api.Prefix+"about", "", http.StatusMisdirectedRequest, func(r *http.Request) {
			if r.Host = host; host == "" {
				r.Host = "x"
			}
		})
		r.refuses("GET", "/", "", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "evil.example" })
	}
	any := newRig(t, func(o *Options) { o.Hosts, o.Token = []string{"localhost", "127.0.0.1", "[::1]"}, "" })
	for _, host := range []string{"localhost:1234", "127.0.0.1:9", "[::1]:9", "LOCALHOST"} {
		if reply, text := any.do("GET", api.Prefix+"about", "", func(r *http.Request) { r.Host = host }); reply.StatusCode != http.StatusOK {
			t.Errorf("host %q: %d %s", host, reply.StatusCode, text)
		}
	}
	any.refuses("GET", api.Prefix+"about", "", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "localhost.evil.example" })
}

// Pages of other sites may neither change nor ask.
func TestOtherSites(t *testing.T) {
	r := newRig(t, nil)
	normal := `{"key":"0123456789abcdef01234567","normal":true}`
	for name, change := range map[string]func(*http.Request){
		"cross-site":       header("Sec-Fetch-Site", "cross-site"),
		"same-site":        header("Sec-Fetch-Site", "same-site"),
		"another origin":   header("Origin", "https://evil.example"),
		"a sandboxed page": header("Origin", "null"),
	} {
		t.Run(name, func(t *testing.T) {
			r.refuses("PUT", api.Prefix+"services/web/normal", normal, http.StatusForbidden, change)
			if !strings.HasSuffix(name, "site") {
				return
			}
			r.refuses("GET", api.Prefix+"about", "", http.StatusForbidden, change)
		})
	}
	if reply, text := r.do("PUT", api.Prefix+"services/web/normal", normal, header("Sec-Fetch-Site", "same-origin")); reply.StatusCode != http.StatusNoContent {
		t.Errorf("from the page itself: %d %s", reply.StatusCode, text)
	}
}

func TestLogin(t *testing.T) {
	r := newRig(t, nil)
	login := api.Prefix + "login"
	bare := func(r *http.Request) { r.Header.Del("Authorization") }
	r.refuses("POST", login, `{"token":"wrong"}`, http.StatusUnauthorized, bare)
	r.refuses("POST", login, `{"token":""}`, http.StatusUnauthorized, bare)
	r.refuses("POST", login, `{"token":"x","more":1}`, http.StatusBadRequest, bare)
	r.refuses("POST", login, `not JSON`, http.StatusBadRequest, bare)
	r.refuses("POST", login, `{}{}`, http.StatusBadRequest, bare)
	r.refuses("POST", login, `{"token":"`+strings.Repeat("x", maxBody)+`"}`, http.StatusRequestEntityTooLarge, bare)
	r.refuses("POST", login, `{"token":"`+token+`"}`, http.StatusUnsupportedMediaType, header("Content-Type", "text/plain"))
	reply, _ := r.do("POST", login, `{"token":"`+token+`"}`, bare)
	cookies := reply.Cookies()
	if reply.StatusCode != http.StatusNoContent || len(cookies) != 1 {
		t.Fatalf("login: %v", reply)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || strings.Contains(c.Value, token) || len(c.Value) < 40 {
		t.Errorf("the cookie is %+v", c)
	}
	if reply, text := r.do("GET", api.Prefix+"about", "", func(r *http.Request) { bare(r); r.AddCookie(c) }); reply.StatusCode != http.StatusOK {
		t.Errorf("with the session: %d %s", reply.StatusCode, text)
	}
}

// Guessing is slow, and says so.
func TestManyWrongTokens(t *testing.T) {
	r := newRig(t, nil)
	bare := func(r *http.Request) { r.Header.Del("Authorization") }
	limited := 0
	for range maxLogins + 5 {
		reply, _ := r.do("POST", api.Prefix+"login", `{"token":"wrong"}`, bare)
		if reply.StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Error("nobody was slowed down")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	first := s.open()
	for range maxSessions {
		s.open()
	}
	if s.has(first) || len(s.list) != maxSessions || s.has("") {
		t.Errorf("%d sessions; the first is open: %v", len(s.list), s.has(first))
	}
}

// What every answer says to the browser.
func TestHeaders(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/app.js", "/app.css", "/icon.svg", api.Prefix + "about", "/nothing", api.Prefix + "nothing"} {
		reply, _ := r.do("GET", path, "", nil)
		h := reply.Header
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "no-referrer" || h.Get("Content-Type") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// Nothing changes by GET, and no method does what another one is for.
func TestMethods(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MayAct = true })
	for _, path := range []string{"now/ask", "now/snapshot", "now/reload", "services/web/normal", "login"} {
		if reply, text := r.do("GET", api.Prefix+path, "", nil); reply.StatusCode != http.StatusNotFound && reply.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d %s", path, reply.StatusCode, text)
		}
	}
	r.refuses("POST", "/", "", http.StatusMethodNotAllowed, nil)
}

// Names that lead elsewhere find nothing.
func TestTraversal(t *testing.T) {
	r := newRig(t, nil)
	r.incident("web", nil, nil)
	for _, id := range []string{"..", "%2e%2e", "..%2f..%2fetc", "last", "%00", "a%2fb", strings.Repeat("x", 3000)} {
		for _, rest := range []string{"", "/stacks", "/output", "/export?format=json"} {
			reply, text := r.do("GET", api.Prefix+"incidents/"+id+rest, "", nil)
			if reply.StatusCode == http.StatusOK || reply.StatusCode >= 500 {
				t.Errorf("%s%s: %d %.200s", id, rest, reply.StatusCode, text)
			}
		}
	}
	for _, path := range []string{"/../go.mod", "/..%2fgo.mod", "/dist/app.js", "/%2e%2e/server.go"} {
		if reply, text := r.do("GET", path, "", nil); reply.StatusCode == http.StatusOK && !strings.Contains(text, "<div id=\"app\">") {
			t.Errorf("%s: %d %.100s", path, reply.StatusCode, text)
		}
	}
}
