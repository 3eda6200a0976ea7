package api

import (
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Issues are the incidents by fingerprint, the one with the newest first.
//
// QUERY, all of it optional: service, cause, version (of the program), source,
// since and until (RFC 3339), q (text in sentences and stacks, case ignored),
// offset, limit (at most MaxIssues).
type Issues struct {
	Issues   []Issue  `json:"issues"`
	Total    int      `json:"total"`             // that match
	Facets   Facets   `json:"facets"`            // of all incidents, not only of those that match
	Problems []string `json:"problems"`          // incidents that cannot be read, sentences
	Seen     int      `json:"incidents"`         // how many incidents match
	Stopped  string   `json:"stopped,omitempty"` // why the search did not look at all: a sentence
}

// MaxIssues bounds a page of Issues and of Occurrences.
const MaxIssues = 500

// Issue is what incidents with one fingerprint have in common. An incident
// without a fingerprint is an issue of its own.
type Issue struct {
	Fingerprint string         `json:"fingerprint"` // "" for one without
	Count       int            `json:"count"`
	First       time.Time      `json:"first"`
	Last        time.Time      `json:"last"`
	Services    []string       `json:"services"`
	Cause       snapshot.Cause `json:"cause"`
	Sentence    string         `json:"sentence"` // of the newest
	Confidence  string         `json:"confidence,omitempty"`
	Hosts       []string       `json:"hosts"`
	Versions    []string       `json:"versions"`
	Pinned      bool           `json:"pinned"` // one of them is
	// Spark is how many there were in equal parts of the time between the first
	// and the last of all incidents, oldest first.
	Spark  []int      `json:"spark"`
	Newest Occurrence `json:"newest"`
}

// Facets count incidents.
type Facets struct {
	Services []Facet `json:"services"`
	Causes   []Facet `json:"causes"`
	Versions []Facet `json:"versions"`
	Sources  []Facet `json:"sources"`
}

// Facet is a value to filter by.
type Facet struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// Occurrences are the incidents of one fingerprint, newest first; without one in
// the query, all.
type Occurrences struct {
	Occurrences []Occurrence `json:"occurrences"`
	Total       int          `json:"total"`
}

// Occurrence is one incident in a list.
type Occurrence struct {
	ID       string          `json:"id"`
	Source   string          `json:"source"`
	Service  string          `json:"service"`
	Instance uint64          `json:"instance"`
	Time     time.Time       `json:"time"`
	Host     string          `json:"host"`
	Cause    snapshot.Cause  `json:"cause"`
	Sentence string          `json:"sentence"`
	Status   snapshot.Status `json:"status"`
	Version  string          `json:"version"`
	Uptime   float64         `json:"uptime_seconds"`
	Bytes    int64           `json:"bytes"`
	Pinned   bool            `json:"pinned"`
	Badges   []Badge         `json:"badges"`
}

// Badge is one part of the evidence: there, partly there, or missing.
type Badge struct {
	Name  string `json:"name"`  // "stacks", "process", "world", "output", "timeline", "samples", "core", "tree", "runtime"
	State string `json:"state"` // "ok", "partial", "missing", "removed"
	Why   string `json:"why,omitempty"`
}
