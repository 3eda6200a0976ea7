package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// reply writes an answer. What the encoder escapes (<, >, &) keeps even a
// browser that guesses from taking it for a page.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}

// fail writes an api.Error.
func fail(w http.ResponseWriter, status int, code, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Error{Code: code, Message: fmt.Sprintf(format, args...)})
}

// failWith chooses the status by the error.
func failWith(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errGone):
		fail(w, http.StatusGone, "gone", "%v", err)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, control.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		fail(w, http.StatusNotFound, control.CodeNotFound, "%v", err)
	case errors.Is(err, errBadRequest):
		fail(w, http.StatusBadRequest, control.CodeBadRequest, "%v", err)
	default:
		fail(w, http.StatusInternalServerError, control.CodeFailed, "%v", err)
	}
}

var (
	errGone       = errors.New("the incident has been removed meanwhile")
	errBadRequest = errors.New("cannot understand the request")
)

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadRequest, fmt.Sprintf(format, args...))
}

// decode reads a body of JSON, which must be nothing else.
func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, control.CodeBadRequest, "the body must be application/json")
		return false
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			fail(w, http.StatusRequestEntityTooLarge, control.CodeBadRequest, "the body has more than %d bytes", maxBody)
			return false
		}
		fail(w, http.StatusBadRequest, control.CodeBadRequest, "cannot read the body: %v", err)
		return false
	}
	if d.More() {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, "the body has more than one value")
		return false
	}
	return true
}
