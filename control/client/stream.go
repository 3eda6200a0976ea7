package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vigil-supervisor/vigil/control"
)

// trailerError is the trailer in which a stream that was cut short says why.
const trailerError = "Vigil-Error"

// Logs calls emit with the last lines of a service's output, oldest first, then
// with new ones when follow is set, until ctx ends, vigil ends
// (control.ErrShutdown), or emit fails: that error is returned as it is.
func (c *Client) Logs(ctx context.Context, service string, lines int, follow bool, emit func(control.Line) error) error {
	q := url.Values{"service": {service}, "lines": {strconv.Itoa(lines)}}
	return stream(ctx, c, control.RouteLogs, q, follow, emit)
}

// Events calls emit with what happened, oldest first, then with what happens
// when follow is set; it ends as Logs does.
func (c *Client) Events(ctx context.Context, follow bool, emit func(control.Event) error) error {
	return stream(ctx, c, control.RouteEvents, url.Values{}, follow, emit)
}

func stream[T any](ctx context.Context, c *Client, route string, q url.Values, follow bool, emit func(T) error) error {
	if follow {
		q.Set("follow", "1")
	}
	reply, err := c.do(ctx, http.MethodGet, withQuery(route, q), nil)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return fmt.Errorf("cannot read reply of vigil: %w", err)
		}
		if err := emit(v); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("cannot read reply of vigil: %w", err)
	}
	return trailer(reply)
}

// trailer returns why a stream ended; nil when all was sent.
func trailer(reply *http.Response) error {
	text := reply.Trailer.Get(trailerError)
	if text == "" {
		return nil
	}
	var e control.Error
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return fmt.Errorf("cannot read reply of vigil: %w", err)
	}
	return &Error{Code: e.Code, Message: e.Message}
}
