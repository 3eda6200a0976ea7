package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vigil-supervisor/vigil/control"
)

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	d, err := s.backend.Reload(r.Context(), caller(r))
	if err != nil {
		failBackend(w, err)
		return
	}
	reply(w, d)
}

func (s *Server) signals(w http.ResponseWriter, r *http.Request) {
	q, err := signalsQuery(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, err)
		return
	}
	unhurried(w) // it may wait for a reload
	list, err := s.backend.Signals(r.Context(), q)
	if err != nil {
		failBackend(w, err)
		return
	}
	if list == nil {
		list = []control.SignalEntry{}
	}
	reply(w, list)
}

func signalsQuery(v url.Values) (q control.SignalsQuery, err error) {
	if text := v.Get("since"); text != "" {
		if q.Since, err = strconv.ParseUint(text, 10, 63); err != nil {
			return q, fmt.Errorf("cannot read since=%.20q: not the number of an entry", text)
		}
	}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 0 || q.Limit > MaxLines {
			return q, fmt.Errorf("cannot read limit=%.20q: a number from 0 to %d", text, MaxLines)
		}
	}
	if q.Wait, err = flag(v.Get("wait")); err != nil {
		return q, fmt.Errorf("cannot read wait: 0 or 1")
	}
	return q, nil
}
