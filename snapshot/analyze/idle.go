package analyze

import (
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Idle says why a group tells nothing about a hang: what its members wait for by
// nature. "" when it may tell something. Waiting for the network alone is not
// idle: it may be the very hang.
func Idle(g snapshot.Group) string {
	switch {
	case g.Idle != "":
		return g.Idle
	case g.System:
		return "the runtime's own"
	case idleReasons[g.WaitReason]:
		return "the runtime's own"
	}
	for _, f := range g.Frames {
		if why := idlePlaces[f.Function]; why != "" {
			return why
		}
	}
	return idleConnection(g)
}

// idleReasons are wait reasons of the Go runtime (waitReasonStrings in
// runtime2.go, go1.26) of goroutines that have nothing to do.
var idleReasons = map[string]bool{
	"force gc (idle)": true, "GC worker (idle)": true, "GC sweep wait": true, "GC scavenge wait": true, "finalizer wait": true, "cleanup wait": true,
}

// idlePlaces are functions in which a goroutine waits for work from outside.
var idlePlaces = map[string]string{
	"internal/poll.(*FD).Accept":              "it waits for connections",
	"os/signal.signal_recv":                   "it waits for signals",
	"os/signal.loop":                          "it waits for signals",
	"database/sql.(*DB).connectionOpener":     "it waits for connections to open",
	"net/http.(*connReader).backgroundRead":   "it watches for the end of a request's connection",
	"net/http.(*persistConn).writeLoop":       "it waits for requests to send",
	"net/http.(*http2clientConnReadLoop).run": "it reads from an HTTP/2 connection",
}

// idleConnection knows a server's connection between two requests: it reads, and
// no handler is on its stack.
func idleConnection(g snapshot.Group) string {
	reads := false
	for _, f := range g.Frames {
		switch {
		case strings.Contains(f.Function, ".ServeHTTP"), strings.HasPrefix(f.Function, "main."):
			return ""
		case f.Function == "net/http.readRequest", f.Function == "net/http.(*conn).readRequest":
			reads = true
		case f.Function == "net/http.(*conn).serve" && (reads || peeks(g)):
			return "a connection between two requests"
		}
	}
	return ""
}

// peeks reports whether a connection waits for the first byte of a request.
func peeks(g snapshot.Group) bool {
	for _, f := range g.Frames {
		if f.Function == "bufio.(*Reader).Peek" {
			return true
		}
	}
	return false
}
