package server

import (
	"errors"
	"io"
	"net/http"

	"github.com/vigil-supervisor/vigil/control"
)

func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) {
	ask, err := decodeSnapshot(r.Body)
	if err != nil {
		failDecode(w, err)
		return
	}
	unhurried(w) // an analysis takes its time
	results, err := s.backend.Snapshot(r.Context(), caller(r), ask)
	if err != nil {
		failBackend(w, err)
		return
	}
	reply(w, results)
}

func decodeSnapshot(body io.Reader) (control.Snapshot, error) {
	ask, err := decodeStrictly[control.Snapshot](body)
	switch {
	case err == nil && len(ask.Services) == 0:
		err = errors.New("no service is named")
	case err == nil && len(ask.Services) > MaxServices:
		err = errTooMany
	}
	return ask, err
}
