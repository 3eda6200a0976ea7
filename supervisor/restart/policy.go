package restart

import (
	"fmt"
	"time"
)

// Mode says which ends are followed by a restart.
type Mode string

// The modes.
const (
	Always    Mode = "always"     // every end that nobody asked for
	OnFailure Mode = "on-failure" // those with a status other than 0, or by a signal
	Never     Mode = "never"      // none
)

// Modes returns every mode, the default first.
func Modes() []Mode { return []Mode{Always, OnFailure, Never} }

// ParseMode returns the mode of that name.
func ParseMode(s string) (Mode, error) {
	for _, m := range Modes() {
		if string(m) == s {
			return m, nil
		}
	}
	return "", fmt.Errorf("cannot parse restart policy %q: not one of %v", s, Modes())
}

// MaxLimitStarts bounds Policy.LimitStarts and so the size of a History.
const MaxLimitStarts = 1000

// Policy is what the configuration says about restarts of one service.
type Policy struct {
	Mode   Mode          `json:"mode"`
	Min    time.Duration `json:"min"`    // delay before the second retry; the first is immediate
	Max    time.Duration `json:"max"`    // the delay grows no further, jitter aside
	Factor float64       `json:"factor"` // growth per retry; below 1 counts as 1
	Jitter float64       `json:"jitter"` // share of the delay, 0 to 1, by which it varies to both sides

	// ResetAfter is the healthy uptime after which earlier failures are
	// forgotten. 0 or less: never.
	ResetAfter time.Duration `json:"reset_after"`

	// LimitStarts starts that end unasked within LimitWithin make the service
	// fail for good. 0: no limit. More than MaxLimitStarts counts as that.
	LimitStarts int           `json:"limit_starts"`
	LimitWithin time.Duration `json:"limit_within"`
}

// Default returns the policy of a service that does not say anything.
func Default() Policy {
	return Policy{
		Mode:        Always,
		Min:         200 * time.Millisecond,
		Max:         time.Minute,
		Factor:      2,
		Jitter:      0.1,
		ResetAfter:  time.Minute,
		LimitStarts: 10,
		LimitWithin: 10 * time.Minute,
	}
}

func (p Policy) limit() int { return min(max(p.LimitStarts, 0), MaxLimitStarts) }

// delay returns the wait before retry number attempt, counted from 1. rnd in
// [0,1) places it inside the jitter; 0.5 is the middle.
func (p Policy) delay(attempt int, rnd float64) time.Duration {
	if attempt <= 1 {
		return 0
	}
	base := float64(p.Min)
	for i := 2; i < attempt && base < float64(p.Max); i++ {
		if p.Factor <= 1 {
			break
		}
		base *= p.Factor
	}
	base = min(base, float64(p.Max))
	jitter := min(max(p.Jitter, 0), 1)
	return time.Duration(base * (1 + jitter*(2*rnd-1)))
}
