package browser

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
)

// Bounds of sessions.
const (
	maxSessions = 64 // the oldest goes
	maxLogins   = 10 // wrong tokens in a row, then one each loginPause
	loginPause  = time.Second
)

// sessions are the browsers that have shown the token.
type sessions struct {
	mu    sync.Mutex
	list  []string  // oldest first
	wrong int       // tokens since the last good one
	since time.Time // of the last wrong token
}

func (s *sessions) has(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		if one == value && value != "" {
			return true
		}
	}
	return false
}

func (s *sessions) open() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	value := rand.Text() + rand.Text()
	s.list = append(s.list, value)
	if n := len(s.list) - maxSessions; n > 0 {
		s.list = append([]string(nil), s.list[n:]...)
	}
	s.wrong = 0
	return value
}

// mayTry says whether a token may be tried now.
func (s *sessions) mayTry(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong < maxLogins || now.Sub(s.since) >= loginPause
}

func (s *sessions) failed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong++
	s.since = now
}

// login trades the token for a session.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var l api.Login
	if !decode(w, r, &l) {
		return
	}
	if now := time.Now(); !s.sessions.mayTry(now) {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "too-many", "too many wrong tokens: wait a second")
		return
	} else if s.o.Token != "" && !s.isToken(l.Token) {
		s.sessions.failed(now)
		s.log.Warn("a wrong token was shown to the browser's server")
		fail(w, http.StatusUnauthorized, "unauthorized", "the token is not that of this vigil browse: it prints another at each start")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(r), Value: s.sessions.open(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.o.Secure,
	})
	w.WriteHeader(http.StatusNoContent)
}
