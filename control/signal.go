package control

// RouteSignal is where signals are sent from: POST SignalAsk -> []SignalResult.
const RouteSignal = "/v1/signal"

// SignalAsk asks for a signal to the main process of services.
type SignalAsk struct {
	Signal   string   `json:"signal"` // a name, with or without SIG
	Services []string `json:"services"`
}

// SignalResult is what came of it for one service.
type SignalResult struct {
	Service string `json:"service"`
	Signal  string `json:"signal"`           // without SIG
	PID     int    `json:"pid,omitempty"`    // that it was sent to
	Absent  bool   `json:"absent,omitempty"` // the service does not run: nothing was sent
	Error   string `json:"error,omitempty"`
}

// Signaller is the part of a Backend that sends signals. The error wraps
// ErrNotFound for an unknown service and ErrInvalid for a signal that does not
// exist; then nothing was sent.
type Signaller interface {
	Signal(ctx Context, who Caller, a SignalAsk) ([]SignalResult, error)
}
