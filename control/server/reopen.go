package server

import (
	"io"
	"net/http"

	"github.com/vigil-supervisor/vigil/control"
)

func (s *Server) reopen(w http.ResponseWriter, r *http.Request) {
	ask, err := decodeReopen(r.Body)
	if err != nil {
		failDecode(w, err)
		return
	}
	unhurried(w)
	done, err := s.backend.Reopen(r.Context(), ask)
	if err != nil {
		failBackend(w, err)
		return
	}
	reply(w, done)
}

func decodeReopen(body io.Reader) (control.Reopen, error) {
	ask, err := decodeStrictly[control.Reopen](body)
	if err == nil && len(ask.Services) > MaxServices {
		err = errTooMany
	}
	return ask, err
}
