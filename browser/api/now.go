package api

import (
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// Now is how a running vigil stands.
type Now struct {
	Time     time.Time             `json:"time"`
	Instance *control.Instance     `json:"instance,omitempty"`
	Services []control.Service     `json:"services"`
	Signals  []control.SignalEntry `json:"signals"`       // newest last, at most 200
	Why      string                `json:"why,omitempty"` // why nothing is known: a sentence
}

// Live is one message of the stream: the data of an event whose name is Kind.
type Live struct {
	Kind  string         `json:"kind"` // "incident" (Occurrence), "removed" (ID), "event" (Event), "lost" (messages were dropped)
	ID    string         `json:"id,omitempty"`
	New   *Occurrence    `json:"occurrence,omitempty"`
	Event *control.Event `json:"event,omitempty"`
	Lost  int            `json:"lost,omitempty"`
}
