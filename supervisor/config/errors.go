package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxErrors is the largest number of errors with a place that are reported.
const MaxErrors = 20

// ErrNoFiles says that no configuration file was named and none is at the
// usual places.
var ErrNoFiles = errors.New("config: no configuration file")

// Error is one mistake and its place.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column  int    `json:"column,omitempty"` // from 1, in characters; 0 with Line 0
	Message string `json:"message"`
}

// Error returns "file:line:column: message".
func (e Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors are all mistakes of a configuration, in the order of files and lines.
type Errors []Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the errors by place, without what is over MaxErrors,
// which a last error without a line says.
func (m mistakes) sorted(files []string) Errors {
	errs := m.errs
	slices.SortStableFunc(errs, func(a, b Error) int {
		if a.File != b.File {
			return slices.Index(files, a.File) - slices.Index(files, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if over := m.count - MaxErrors; over > 0 {
		file := errs[MaxErrors].File
		errs = append(errs[:MaxErrors:MaxErrors], Error{File: file, Message: fmt.Sprintf("%d more errors are not shown", over)})
	}
	return errs
}
