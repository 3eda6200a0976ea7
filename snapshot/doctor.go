package snapshot

// Checkup is one thing that `vigil doctor` has tried or looked at.
type Checkup struct {
	Name  string  `json:"name"` // a Rung, or what was looked at
	OK    bool    `json:"ok"`
	Text  string  `json:"text"`                    // what came of it; of one that is not OK: why, and what would help
	Pause Seconds `json:"pause_seconds,omitempty"` // that a child of 1,000 goroutines stood still
	Fact  bool    `json:"fact,omitempty"`          // nothing was tried: it is how this machine is set
}
