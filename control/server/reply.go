package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// reply sends v.
func reply(w http.ResponseWriter, v any) { send(w, http.StatusOK, v) }

func send(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, control.CodeFailed, err)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away does not matter
}

// fail sends an error.
func fail(w http.ResponseWriter, status int, code string, err error) {
	send(w, status, control.Error{Code: code, Message: err.Error()})
}

func failBackend(w http.ResponseWriter, err error) {
	status, code := classify(err)
	fail(w, status, code, err)
}

// classify finds the status and the code of a backend's error.
func classify(err error) (status int, code string) {
	switch {
	case errors.Is(err, control.ErrNotFound):
		return http.StatusNotFound, control.CodeNotFound
	case errors.Is(err, control.ErrConflict):
		return http.StatusConflict, control.CodeConflict
	case errors.Is(err, control.ErrInvalid):
		return http.StatusBadRequest, control.CodeBadRequest
	case errors.Is(err, control.ErrShutdown):
		return http.StatusServiceUnavailable, control.CodeShutdown
	default:
		return http.StatusInternalServerError, control.CodeFailed
	}
}
