package browser

import (
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/web"
)

func (s *Server) addRoutes() {
	on := func(method, pattern string, h http.HandlerFunc) {
		s.routes.HandleFunc(method+" "+api.Prefix+pattern, h)
	}
	on("POST", "login", s.login)
	on("GET", "about", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.about()) })
	on("GET", "incidents", s.issues)
	on("GET", "occurrences", s.occurrences)
	s.incidentRoutes(on)
	on("PUT", "services/{service}/normal", s.setNormal)
	on("GET", "now", s.now)
	on("GET", "live", s.stream)
	on("POST", "now/ask", s.ask)
	on("POST", "now/snapshot", s.snapshot)
	on("POST", "now/reload", s.reload)
	s.routes.HandleFunc(api.Prefix, func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "not-found", "the API has no %s %q", cut(r.Method), cut(r.URL.Path))
	})
	s.routes.HandleFunc("/", page)
}

// kinds are the Content-Types of the pages' files; nothing is guessed.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// page serves the files that were built into vigil. They hold nothing of
// anybody, so they need no token.
func page(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, http.StatusMethodNotAllowed, "bad-request", "a page can only be read")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	kind, known := kinds[path.Ext(name)]
	data, err := fs.ReadFile(web.Files(), name)
	if err != nil || !known {
		fail(w, http.StatusNotFound, "not-found", "there is no page %q", cut(r.URL.Path))
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(data) // who asked may be gone
}
