package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
)

// canned answers every request with the same bytes.
type canned struct {
	status  int
	body    []byte
	trailer string
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Body: io.NopCloser(bytes.NewReader(c.body)), Trailer: http.Header{trailerError: {c.trailer}},
	}, nil
}

// FuzzReply: no reply can do more than be an error.
func FuzzReply(f *testing.F) {
	f.Add(200, []byte(`{"seq":1}`+"\n"), "")
	f.Add(404, []byte(`{"code":"not-found","error":"no x"}`), "")
	f.Add(200, []byte("\n\n"), `{"code":"failed","error":"x"}`)
	f.Fuzz(func(t *testing.T, status int, body []byte, trailer string) {
		c := &Client{http: &http.Client{Transport: canned{status, body, trailer}}}
		ctx := context.Background()
		if _, err := c.Services(ctx, nil); status != http.StatusOK && err == nil {
			t.Errorf("status %d is a success", status)
		}
		err := c.Events(ctx, true, func(control.Event) error { return nil })
		if err == nil && (status != http.StatusOK || trailer != "") {
			t.Errorf("status %d, trailer %q is a success", status, trailer)
		}
	})
}
