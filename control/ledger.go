package control

import "github.com/vigil-supervisor/vigil/signals/ledger"

// Routes of the ledger of signals and of the reload.
const (
	RouteReload  = "/v1/reload"  // POST -> Demanded
	RouteSignals = "/v1/signals" // GET ?since=SEQ&limit=N&wait=1 -> []SignalEntry, oldest first
)

// SignalEntry is one entry of the ledger: a signal that vigil received, or what
// a client asked for instead of one, with all that were merged with it.
type SignalEntry ledger.Entry

// Demanded says under which number the ledger has what was asked for. What came
// of it stands in the entry's outcome.
type Demanded struct {
	Seq uint64 `json:"seq"`
}

// SignalsQuery chooses entries of the ledger.
type SignalsQuery struct {
	Since uint64 // only those after this number
	Limit int    // the newest so many; 0: all that are kept
	// Wait for the outcome of the first entry after Since. The reply may come
	// without it, and then without the entry: ask again.
	Wait bool
}

// Ledger is what the server needs for both routes.
type Ledger interface {
	Reload(ctx Context, who Caller) (Demanded, error)
	Signals(ctx Context, q SignalsQuery) ([]SignalEntry, error)
}
