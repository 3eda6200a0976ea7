package main

import (
	"errors"
	"fmt"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/internal/place"
)

// Exit codes of every command. `vigil run` ends with the code of its service.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitNothing = 3
	exitRunning = 100
	exitSystem  = 111
)

// exitCodes is what the reference says about them.
var exitCodes = [...]struct {
	code    int
	meaning string
}{
	{exitDone, "done"},
	{exitFailed, "failed; a configuration file that is wrong"},
	{exitUsage, "wrong usage of the command line"},
	{exitNothing, "not running; no such service; no process of it; no incident"},
	{exitRunning, "a vigil of that name runs already"},
	{exitSystem, "the system refused: a directory that cannot be written to, no processes left"},
}

// exit is an error with an exit code. Without err there is nothing more to say.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usagef returns an error about a wrong command line.
func usagef(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

// nothingf returns an error about something that is not there.
func nothingf(format string, args ...any) error {
	return &exit{exitNothing, fmt.Errorf(format, args...)}
}

// system marks an error as the system's.
func system(err error) error {
	if err == nil {
		return nil
	}
	return &exit{exitSystem, err}
}

// codeOf returns the exit code for an error.
func codeOf(err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*exit](err); ok {
		return e.code
	}
	if errors.Is(err, place.ErrName) {
		return exitUsage
	}
	if errors.Is(err, client.ErrNotRunning) || errors.Is(err, control.ErrNotFound) {
		return exitNothing
	}
	return exitFailed
}
