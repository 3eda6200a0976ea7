package browser

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/browser/api"
)

// policy lets a page load only what was built into vigil, and nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// maxBody bounds what a request may bring.
const maxBody = 64 << 10

// guard decides who may ask, and what every answer says.
func (s *Server) guard(next http.Handler) http.Handler {
	// Refuses requests of other sites that would change something, by
	// Sec-Fetch-Site and Origin (net/http, Go 1.25).
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.log.Error("a request made the browser's server panic", zap.String("path", r.URL.Path), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
				fail(w, http.StatusInternalServerError, "failed", "vigil made a mistake; its log has more")
			}
		}()
		if !s.hostAllowed(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "bad-host", "this server does not answer for host %q", cut(r.Host))
			return
		}
		if err := cross.Check(r); err != nil {
			fail(w, http.StatusForbidden, "cross-origin", "a page of another site may not ask for this")
			return
		}
		if !strings.HasPrefix(r.URL.Path, api.Prefix) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Vigil-Browser-Api", fmt.Sprint(api.Version))
		h.Set("Cache-Control", "no-store")
		// A GET changes nothing, but a page of another site must not even time it.
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
			fail(w, http.StatusForbidden, "cross-origin", "a page of another site may not ask for this")
			return
		}
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		if r.URL.Path != api.Prefix+"login" && !s.allowed(r) {
			fail(w, http.StatusUnauthorized, "unauthorized", "open the address that vigil browse printed: it has the token")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed compares names without regard to case.
func (s *Server) hostAllowed(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	for _, h := range s.o.Hosts {
		if strings.EqualFold(h, host) || (!hasPort(h) && strings.EqualFold(strings.Trim(h, "[]"), strings.Trim(name, "[]"))) {
			return true
		}
	}
	return false
}

func hasPort(h string) bool {
	_, _, err := net.SplitHostPort(h)
	return err == nil
}

// allowed says whether a request has a session or the token.
func (s *Server) allowed(r *http.Request) bool {
	if s.o.Token == "" {
		return true
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.isToken(token)
	}
	c, err := r.Cookie(s.cookieName(r))
	return err == nil && s.sessions.has(c.Value)
}

// isToken compares in constant time whatever the lengths are.
func (s *Server) isToken(token string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.o.Token))
	return s.o.Token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// cookieName has the port, for cookies do not tell ports apart.
func (s *Server) cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "0"
	}
	return "vigil_" + port
}

// cut bounds a text of a stranger in a message.
func cut(text string) string { return text[:min(len(text), 100)] }
