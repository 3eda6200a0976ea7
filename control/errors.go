package control

import (
	"context"
	"errors"
)

// Context is context.Context, named here so that Backend reads well.
type Context = context.Context

// ErrNotFound is wrapped by errors about a service that is not there.
var ErrNotFound = errors.New("control: no such service")

// ErrConflict is wrapped by errors about a request that contradicts another.
var ErrConflict = errors.New("control: conflicting request")

// ErrInvalid is wrapped by errors about a request that means nothing.
var ErrInvalid = errors.New("control: invalid request")

// ErrShutdown is wrapped by errors of a vigil that is about to end.
var ErrShutdown = errors.New("control: shutting down")
