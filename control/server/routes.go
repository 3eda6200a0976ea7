package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(method, route string, f func(http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != method {
				w.Header().Set("Allow", method)
				fail(w, http.StatusMethodNotAllowed, control.CodeBadRequest, fmt.Errorf("cannot %s %s: only %s", r.Method, route, method))
				return
			}
			f(w, r)
		})
	}
	handle(http.MethodGet, control.RouteInstance, s.instance)
	handle(http.MethodGet, control.RouteServices, s.services)
	handle(http.MethodPost, control.RouteAsk, s.ask)
	handle(http.MethodPost, control.RouteReopen, s.reopen)
	handle(http.MethodPost, control.RouteSignal, s.signal)
	handle(http.MethodPost, control.RouteSnapshot, s.snapshot)
	handle(http.MethodPost, control.RouteReload, s.reload)
	handle(http.MethodGet, control.RouteSignals, s.signals)
	handle(http.MethodGet, control.RouteLogs, s.logs)
	handle(http.MethodGet, control.RouteEvents, s.events)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, control.CodeBadRequest, fmt.Errorf("there is no %.100q in this API", r.URL.Path))
	})
	return mux
}

func (s *Server) instance(w http.ResponseWriter, _ *http.Request) { reply(w, s.backend.Instance()) }

func (s *Server) services(w http.ResponseWriter, r *http.Request) {
	names := r.URL.Query()["service"]
	if len(names) > MaxServices {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, errTooMany)
		return
	}
	services, err := s.backend.Services(names)
	if err != nil {
		failBackend(w, err)
		return
	}
	if services == nil {
		services = []control.Service{} // "[]", not "null"
	}
	reply(w, services)
}

var errTooMany = fmt.Errorf("more than %d services in one request", MaxServices)

func (s *Server) ask(w http.ResponseWriter, r *http.Request) {
	a, err := decodeAsk(r.Body)
	if err != nil {
		failDecode(w, err)
		return
	}
	unhurried(w) // it may wait for a stop
	results, err := s.backend.Ask(r.Context(), a)
	if err != nil {
		failBackend(w, err)
		return
	}
	if results == nil {
		results = []control.Result{}
	}
	reply(w, results)
}

// decodeAsk refuses what it does not know: to leave out a part of an order is
// another order.
func decodeAsk(body io.Reader) (a control.Ask, err error) {
	if a, err = decodeStrictly[control.Ask](body); err != nil {
		return a, err
	}
	switch {
	case !slices.Contains([]control.Verb{control.Start, control.Stop, control.Restart}, a.Verb):
		return a, fmt.Errorf("cannot do %.100q: not one of %s, %s, %s", a.Verb, control.Start, control.Stop, control.Restart)
	case len(a.Services) == 0:
		return a, errors.New("no service is named")
	case len(a.Services) > MaxServices:
		return a, errTooMany
	}
	return a, nil
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	service := q.Get("service")
	if service == "" || len(q["service"]) > 1 {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, errors.New("exactly one service must be named"))
		return
	}
	lines, err := number(q.Get("lines"))
	if err != nil {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, err)
		return
	}
	follow, err := flag(q.Get("follow"))
	if err != nil {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, err)
		return
	}
	s.stream(w, r, func(ctx control.Context, out *stream) error {
		return s.backend.Logs(ctx, service, lines, follow, func(l control.Line) error { return out.send(l) })
	})
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	follow, err := flag(r.URL.Query().Get("follow"))
	if err != nil {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, err)
		return
	}
	s.stream(w, r, func(ctx control.Context, out *stream) error {
		return s.backend.Events(ctx, follow, func(e control.Event) error { return out.send(e) })
	})
}

// defaultLines is how many lines of output are sent when no number is asked for.
const defaultLines = 100

func number(s string) (int, error) {
	if s == "" {
		return defaultLines, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > MaxLines {
		return 0, fmt.Errorf("cannot send %.20q lines: a number from 0 to %d", s, MaxLines)
	}
	return n, nil
}

func flag(s string) (bool, error) {
	switch s {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	}
	return false, fmt.Errorf("cannot follow %.20q: 0 or 1", s)
}

// unhurried lifts the limit on the time of reading, which net/http would else
// take for a client that went away while the handler works.
func unhurried(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}
