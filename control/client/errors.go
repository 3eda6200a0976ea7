package client

import (
	"errors"

	"github.com/vigil-supervisor/vigil/control"
)

// ErrNotRunning is wrapped by errors about a socket that is absent or on which
// nobody answers.
var ErrNotRunning = errors.New("client: vigil is not running")

// Error is what vigil answered instead of doing what it was asked. It unwraps
// to the error of package control that its code stands for, if there is one.
type Error struct {
	Code    string // one of the codes of package control, or "forbidden"
	Message string // a sentence
	Status  int    // of HTTP; 0 when a stream was cut short
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns control.ErrNotFound, ErrConflict, ErrShutdown or nil.
func (e *Error) Unwrap() error {
	switch e.Code {
	case control.CodeNotFound:
		return control.ErrNotFound
	case control.CodeConflict:
		return control.ErrConflict
	case control.CodeShutdown:
		return control.ErrShutdown
	}
	return nil
}
