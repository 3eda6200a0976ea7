package restart

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// End is how one life of a service ended, as far as the policy cares.
type End struct {
	Asked   bool          // an operator or the configuration wanted it
	Failed  bool          // status other than 0, a signal, or killed by us for a hang
	Healthy bool          // it was ready (a service without readiness: it was started)
	Uptime  time.Duration // how long it was healthy
}

// Decision is what to do after an end.
type Decision struct {
	Restart bool          `json:"restart"`
	Delay   time.Duration `json:"delay"`   // wait this long before the start; 0: at once
	GiveUp  bool          `json:"give_up"` // the limit is reached: the service has failed
	Reason  string        `json:"reason"`  // one clause for people
	Attempt int           `json:"attempt"` // retry number in a row, from 1; 0 without a restart
}

// Decide returns what to do after an end, and the history to remember.
//
// now is the boot time of the end, rnd a random number in [0,1). The given
// history is not changed. After a decision with GiveUp every further one gives
// up too, until the caller begins with a zero History.
func Decide(p Policy, h History, end End, now time.Duration, rnd float64) (Decision, History) {
	switch {
	case end.Asked:
		return Decision{Reason: "the end was asked for"}, History{}
	case h.GaveUp:
		return Decision{GiveUp: true, Reason: "it had given up before"}, h
	case p.Mode == Never:
		return Decision{Reason: "the restart policy is never"}, h
	case p.Mode == OnFailure && !end.Failed:
		return Decision{Reason: "it ended with status 0 and the restart policy is on-failure"}, h
	}
	next := record(p, h, end, now)
	if limit := p.limit(); limit > 0 && len(next.Ends) >= limit {
		next.GaveUp = true
		reason := fmt.Sprintf("%s ended within %s", starts(limit), words(p.LimitWithin))
		return Decision{GiveUp: true, Reason: reason}, next
	}
	d := Decision{Restart: true, Attempt: next.Failures, Delay: p.delay(next.Failures, rnd)}
	d.Reason = fmt.Sprintf("retry %d, %s", d.Attempt, after(d.Delay))
	return d, next
}

// Immediate reports whether a death at now, right after the start and whatever
// its status, would be followed by a start without delay. It stays true until
// the next Decide, since time only empties the window. The keeper's standing
// order may stand exactly then. It is false for OnFailure, where the status
// decides.
func Immediate(p Policy, h History, now time.Duration) bool {
	d, _ := Decide(p, h, End{}, now, 0.5)
	return d.Restart && d.Delay == 0
}

func record(p Policy, h History, end End, now time.Duration) History {
	if end.Healthy && p.ResetAfter > 0 && end.Uptime >= p.ResetAfter {
		h = h.Settle()
	}
	next := History{Failures: h.Failures}
	if next.Failures < math.MaxInt32 {
		next.Failures++
	}
	if limit := p.limit(); limit > 0 {
		next.Ends = append(h.recent(p.LimitWithin, now, limit-1), now)
	}
	return next
}

func after(d time.Duration) string {
	if d == 0 {
		return "at once"
	}
	return "after " + words(d)
}

func starts(n int) string {
	if n == 1 {
		return "1 start"
	}
	return fmt.Sprintf("%d starts", n)
}

// words prints a duration without empty units: 10m, not 10m0s.
func words(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(10 * time.Millisecond)
	} else {
		d = d.Round(10 * time.Microsecond)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
