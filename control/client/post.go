package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/vigil-supervisor/vigil/control"
)

// Reopen asks for log files to be opened anew and returns when that is done, or
// cannot be done in the time that vigil gives it (8 s).
func (c *Client) Reopen(ctx context.Context, r control.Reopen) (done control.Reopened, err error) {
	return done, c.post(ctx, control.RouteReopen, r, &done)
}

// Signal sends a signal to the main process of services.
func (c *Client) Signal(ctx context.Context, a control.SignalAsk) (results []control.SignalResult, err error) {
	return results, c.post(ctx, control.RouteSignal, a, &results)
}

func (c *Client) post(ctx context.Context, route string, ask, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("cannot encode request: %w", err)
	}
	reply, err := c.do(ctx, http.MethodPost, route, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return decode(reply, answer)
}
