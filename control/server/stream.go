package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// stream is a reply of one JSON object a line, each sent at once.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	encode  *json.Encoder
	started bool
}

// stream runs produce with a context that ends with the client or the server.
// An error before the first line is a reply of its own, a later one a trailer.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, produce func(control.Context, *stream) error) {
	unhurried(w)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	out := &stream{w: w, rc: http.NewResponseController(w), encode: json.NewEncoder(w)}
	// A client that stops reading is its own affair: it may take its time, and
	// Shutdown closes its connection.
	_ = out.rc.SetWriteDeadline(time.Time{})
	stop := context.AfterFunc(s.ending, func() { _ = out.rc.SetWriteDeadline(time.Now().Add(writeTime)) })
	defer stop()

	err := produce(ctx, out)
	if s.ending.Err() != nil {
		err = fmt.Errorf("vigil ends: %w", control.ErrShutdown)
	}
	if err == nil {
		out.start()
		return
	}
	if !out.started {
		failBackend(w, err)
		return
	}
	_, code := classify(err)
	// JSON has no line break, which a header could not have.
	if text, jsonErr := json.Marshal(control.Error{Code: code, Message: err.Error()}); jsonErr == nil {
		w.Header().Set(http.TrailerPrefix+TrailerError, string(text))
	}
}

// start sends the head, so that a client that follows knows it was accepted.
func (o *stream) start() {
	if o.started {
		return
	}
	o.started = true
	o.w.Header().Set("Content-Type", "application/x-ndjson")
	o.w.WriteHeader(http.StatusOK)
}

// send writes one value as a line, now.
func (o *stream) send(v any) error {
	o.start()
	if err := o.encode.Encode(v); err != nil {
		return fmt.Errorf("cannot send: %w", err)
	}
	if err := o.rc.Flush(); err != nil {
		return fmt.Errorf("cannot send: %w", err)
	}
	return nil
}
