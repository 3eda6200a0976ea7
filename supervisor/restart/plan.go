package restart

import (
	"fmt"
	"time"
)

// MaxPlan is the largest number of steps that Plan returns.
const MaxPlan = 32

// Step is one retry of a service that dies as soon as it is started.
type Step struct {
	Attempt int           `json:"attempt"` // from 1
	Delay   time.Duration `json:"delay"`   // before this start, without jitter
	Elapsed time.Duration `json:"elapsed"` // from the first death to this start
}

// Plan returns the retries of a service that dies as soon as it is started:
// those up to the one where the policy gives up, or where the delay no longer
// grows, and at most MaxPlan.
func Plan(p Policy) []Step {
	steps, _, _ := foresee(p)
	for i := 1; i+1 < len(steps); i++ {
		if i >= 2 && steps[i].Delay == steps[i-1].Delay {
			return clip(steps[:i])
		}
	}
	return clip(steps)
}

func clip(steps []Step) []Step { return steps[:min(len(steps), MaxPlan)] }

// Outlook says in words when the policy gives up on a service that dies as
// soon as it is started, without the full stop: "gives up after 10 starts
// within 10m (about 51s if it dies at once)".
func Outlook(p Policy) string {
	if p.Mode == Never {
		return "never restarts"
	}
	_, elapsed, gaveUp := foresee(p)
	switch {
	case gaveUp:
		return fmt.Sprintf("gives up after %s within %s (%s)", starts(p.limit()), words(p.LimitWithin), atOnce(elapsed))
	case p.limit() == 0:
		return "never gives up (no limit)"
	default:
		return fmt.Sprintf("gives up after %s within %s (never if it dies at once: the delays keep it below that)",
			starts(p.limit()), words(p.LimitWithin))
	}
}

func atOnce(elapsed time.Duration) string {
	if elapsed == 0 {
		return "at once if it dies at once"
	}
	if elapsed >= 10*time.Second {
		elapsed = elapsed.Round(time.Second)
	}
	return "about " + words(elapsed) + " if it dies at once"
}

// foresee lets a service die at every start until the policy gives up or must
// have given up. It asks Decide, so that a plan cannot differ from the deed.
func foresee(p Policy) (steps []Step, elapsed time.Duration, gaveUp bool) {
	if p.Mode == OnFailure {
		p.Mode = Always // the plan is about failures
	}
	var h History
	// One step more than the limit: by then either every end lies inside the
	// window, or the delays are as long as they get and the count is steady.
	rounds := max(p.limit(), MaxPlan) + MaxPlan + 1
	for range rounds {
		var d Decision
		d, h = Decide(p, h, End{Failed: true}, elapsed, 0.5)
		if !d.Restart {
			return steps, elapsed, d.GiveUp
		}
		elapsed += d.Delay
		steps = append(steps, Step{Attempt: d.Attempt, Delay: d.Delay, Elapsed: elapsed})
	}
	return steps, elapsed, false
}
