package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

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

// Snapshot takes snapshots of services that run on.
func (c *Client) Snapshot(ctx context.Context, a control.Snapshot) (results []control.SnapshotResult, err error) {
	return results, c.post(ctx, control.RouteSnapshot, a, &results)
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

// Reload asks for a new supervisor from the program and the configuration now
// on disk. What comes of it stands in the ledger, see Signals.
func (c *Client) Reload(ctx context.Context) (d control.Demanded, err error) {
	return d, c.post(ctx, control.RouteReload, struct{}{}, &d)
}

// Signals lists entries of the ledger.
func (c *Client) Signals(ctx context.Context, q control.SignalsQuery) (list []control.SignalEntry, err error) {
	v := url.Values{}
	if q.Since > 0 {
		v.Set("since", strconv.FormatUint(q.Since, 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Wait {
		v.Set("wait", "1")
	}
	return list, c.get(ctx, control.RouteSignals, v, &list)
}
