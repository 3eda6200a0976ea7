package restart

import "time"

// History is what must be remembered of a service between two decisions. It is
// small, has a bound (MaxLimitStarts times), and can be stored as JSON. The
// zero value is a service that has never failed.
type History struct {
	// Failures is the number of unasked ends in a row, without healthy time
	// between them.
	Failures int `json:"failures,omitempty"`
	// Ends holds the boot times (nanoseconds in JSON) of unasked ends inside
	// the limit's window, oldest first, at most as many as the limit.
	Ends []time.Duration `json:"ends,omitempty"`
	// GaveUp is set once the limit was reached; only an operator clears it, by
	// starting again from the zero History.
	GaveUp bool `json:"gave_up,omitempty"`
}

// Settle forgets the failures in a row: the service has been healthy for
// ResetAfter, or says so itself (RESTART_RESET=1, systemd 258). The limit's
// window stays.
func (h History) Settle() History {
	h.Failures = 0
	return h
}

// recent returns the ends inside the window before now, at most keep of them,
// in memory of its own. Times in the future stem from before a reboot.
func (h History) recent(within, now time.Duration, keep int) []time.Duration {
	var ends []time.Duration
	for _, t := range h.Ends {
		if t <= now && now-t <= within {
			ends = append(ends, t)
		}
	}
	if over := len(ends) - keep; over > 0 {
		ends = ends[over:]
	}
	return ends
}
