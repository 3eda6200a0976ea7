package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// sinceTime reads --since: a time of RFC 3339, or how long ago.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil
	}
	return time.Time{}, usagef("cannot read the time %q: neither a duration such as 10m nor a time such as %s", text, now.UTC().Format(time.RFC3339))
}

// logsSince shows the log file and its rotated ones from a moment on.
func (a *app) logsSince(ctx context.Context, services []string, text string) error {
	at, err := sinceTime(text, time.Now())
	if err != nil {
		return err
	}
	from, service, err := a.oneService(ctx, services)
	if err != nil {
		return err
	}
	list, err := from.Services(ctx, []string{service})
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0].Output.File == "" {
		return nothingf("service %q has no log file", service)
	}
	h, err := logs.Since(list[0].Output.File, at)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, note := range h.Notes {
		fmt.Fprintln(a.err, "vigil: "+note)
	}
	if !isTerminal(a.out) {
		_, err = h.WriteTo(a.out)
		return err
	}
	_, err = h.WriteTo(cleaner{a})
	return err
}

// cleaner shows control characters as escapes, which a terminal would obey. A
// character that lies across two blocks is shown as its bytes.
type cleaner struct{ a *app }

func (c cleaner) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.a.out, harmless(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
