package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// Bounds of what a client takes from a server.
const (
	maxReply = 64 << 20 // bytes of a reply; thousands of services
	maxError = 64 << 10
	maxLine  = 1 << 20 // bytes of a line of a stream: 16 KiB of text, at most six times that in JSON

	dialTime = 5 * time.Second
)

// Client is a connection to one vigil. Its methods may be called from several
// goroutines; their errors are *Error when vigil refused, and wrap
// ErrNotRunning when it is gone.
type Client struct {
	path string
	http *http.Client
	idle func()
}

// Dial returns a client of the vigil whose control socket is at path, which
// must answer: else the error wraps ErrNotRunning, or is that of connect(2)
// (fs.ErrPermission for somebody else's). Close it.
func Dial(path string) (*Client, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
		MaxIdleConns:       1,
	}
	c := &Client{path: path, http: &http.Client{Transport: transport}, idle: transport.CloseIdleConnections}
	conn, err := net.DialTimeout("unix", path, dialTime)
	if err != nil {
		return nil, dialError(path, err)
	}
	_ = conn.Close()
	return c, nil
}

// Close gives the connection back.
func (c *Client) Close() { c.idle() }

// Path returns the path of the socket.
func (c *Client) Path() string { return c.path }

// Instance returns what runs.
func (c *Client) Instance(ctx context.Context) (i control.Instance, err error) {
	return i, c.get(ctx, control.RouteInstance, nil, &i)
}

// Services returns the services of those names, or all when there is none. The
// error unwraps to control.ErrNotFound for an unknown name.
func (c *Client) Services(ctx context.Context, names []string) (services []control.Service, err error) {
	return services, c.get(ctx, control.RouteServices, url.Values{"service": names}, &services)
}

// Ask asks for a change and returns what came of it for each service. With
// Wait it returns when that is known.
func (c *Client) Ask(ctx context.Context, a control.Ask) (results []control.Result, err error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("cannot encode request: %w", err)
	}
	reply, err := c.do(ctx, http.MethodPost, control.RouteAsk, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return results, decode(reply, &results)
}

func (c *Client) get(ctx context.Context, route string, query url.Values, v any) error {
	reply, err := c.do(ctx, http.MethodGet, withQuery(route, query), nil)
	if err != nil {
		return err
	}
	return decode(reply, v)
}

func withQuery(route string, query url.Values) string {
	if q := query.Encode(); q != "" {
		return route + "?" + q
	}
	return route
}

// do sends a request and returns a reply that is a success; its body must be
// closed.
func (c *Client) do(ctx context.Context, method, route string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://vigil"+route, body)
	if err != nil {
		return nil, fmt.Errorf("cannot ask vigil: %w", err)
	}
	reply, err := c.http.Do(r)
	if err != nil {
		// url.Error would tell the user about http://vigil/v1.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, dialError(c.path, err)
	}
	if reply.StatusCode == http.StatusOK {
		return reply, nil
	}
	defer reply.Body.Close()
	return nil, refusal(reply)
}

// refusal makes an error of a reply that is not a success.
func refusal(reply *http.Response) error {
	var e control.Error
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxError))
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || e.Message == "" {
		return fmt.Errorf("cannot understand vigil: HTTP status %s", reply.Status)
	}
	return &Error{Code: e.Code, Message: e.Message, Status: reply.StatusCode}
}

func decode(reply *http.Response, v any) error {
	defer reply.Body.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxReply+1))
	if err == nil && len(body) > maxReply {
		err = fmt.Errorf("longer than %d bytes", maxReply)
	}
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		return fmt.Errorf("cannot read reply of vigil: %w", err)
	}
	return nil
}

// dialError says that nobody is there, where that is the case.
func dialError(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w (no answer at %s)", ErrNotRunning, path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cannot connect to vigil at %s: %w (only root and the user that started it may)", path, fs.ErrPermission)
	}
	return fmt.Errorf("cannot ask vigil at %s: %w", path, err)
}
