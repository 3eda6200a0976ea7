package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/vigil-supervisor/vigil/control"
)

// decodeStrictly reads one value and nothing else, without fields that it does
// not know.
func decodeStrictly[T any](body io.Reader) (v T, err error) {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("cannot decode request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, errors.New("cannot decode request: there is more than one value")
	}
	return v, nil
}

func failDecode(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status = http.StatusRequestEntityTooLarge
	}
	fail(w, status, control.CodeBadRequest, err)
}
