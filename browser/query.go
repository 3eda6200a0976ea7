package browser

import (
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
)

// Bounds of what a request may say.
const (
	maxText   = 1000
	maxOffset = 100_000_000
)

func errNoPart(name string) error {
	return fmt.Errorf("this incident has no %s: %w", name, fs.ErrNotExist)
}

// number reads a number that may be absent.
func number(r *http.Request, name string, most int) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, badRequest("%s is a number from 0 to %d, not %q", name, most, cut(text))
	}
	return n, nil
}

// paging reads offset and limit.
func paging(r *http.Request) (offset, limit int, err error) {
	if offset, err = number(r, "offset", maxOffset); err != nil {
		return 0, 0, err
	}
	limit, err = number(r, "limit", maxOffset)
	return offset, limit, err
}

func stacksQuery(r *http.Request) (q view.Query, err error) {
	if q.Offset, q.Limit, err = paging(r); err != nil {
		return q, err
	}
	q.By, q.Text, q.Idle = r.FormValue("by"), r.FormValue("q"), r.FormValue("idle") == "1"
	if q.By != "" && !slices.Contains(api.Groupings(), q.By) {
		return q, badRequest("by is one of %v, not %q", api.Groupings(), cut(q.By))
	}
	if len(q.Text) > maxText {
		return q, badRequest("q is longer than %d bytes", maxText)
	}
	return q, nil
}

// moment reads a time that may be absent.
func moment(r *http.Request, name string) (time.Time, error) {
	text := r.FormValue(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, badRequest("%s is a time as 2006-01-02T15:04:05Z, not %q", name, cut(text))
	}
	return t, nil
}
