package watchdog

import (
	"fmt"
	"math"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// State of a sign of life.
type State uint8

// The states of a sign.
const (
	Healthy   State = iota // seen within its time, or has no limit
	Suspect                // late: evidence is taken, nothing is killed
	Confirmed              // missing, or the service said that it is broken
)

// String returns the word used in the API and in logs.
func (s State) String() string {
	switch s {
	case Healthy:
		return "healthy"
	case Suspect:
		return "suspect"
	case Confirmed:
		return "confirmed"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Verdict is a change of state, with the proof in words. A return to Healthy
// is a recovery.
type Verdict struct {
	Sign string        // name of the sign
	From State         // state before
	To   State         // state now
	At   time.Duration // CLOCK_BOOTTIME of the change
	Text string        // one plain sentence: "no beat for 2.1s (limit 2s)"

	Cause snapshot.Cause // of the end that a confirmed one leads to
}

// never is the deadline of a sign that waits for nothing.
const never = time.Duration(math.MaxInt64)

// Sign is the bookkeeping of one sign of life of one instance: the beats of
// sd_notify, or one named activity. It is owned by one goroutine. All times
// are CLOCK_BOOTTIME and must not go backwards.
type Sign struct {
	name      string
	limit     time.Duration // 0: no limit
	suspect   time.Duration // within limit; equal to it: no suspicion first
	last      time.Duration // last beat, or when the wait for it began
	until     time.Duration // no deadline before this: the service asked for time
	state     State
	suspended bool
}

// NewSign starts to wait, at now, for a sign that must be seen every limit; it
// is suspect after the shorter time suspect. A suspect that is not positive or
// not shorter than limit means: no suspicion, confirm at once. A limit that is
// not positive means that its absence says nothing, until SetLimit.
func NewSign(name string, limit, suspect, now time.Duration) *Sign {
	s := &Sign{name: name, last: now}
	s.limit, s.suspect = thresholds(limit, suspect)
	return s
}

func thresholds(limit, suspect time.Duration) (time.Duration, time.Duration) {
	limit = max(limit, 0)
	if suspect <= 0 || suspect > limit {
		suspect = limit
	}
	return limit, suspect
}

// Name of the sign.
func (s *Sign) Name() string { return s.name }

// State as of the last call that changed it.
func (s *Sign) State() State { return s.state }

// Last is when the sign was last seen or the wait for it began.
func (s *Sign) Last() time.Duration { return s.last }

// Limit is the longest allowed time between two beats; 0: none.
func (s *Sign) Limit() time.Duration { return s.limit }

// Suspended says that the sign is not judged at present.
func (s *Sign) Suspended() bool { return s.suspended }

// Next returns the next time at which Check would change the state, and to
// which one. ok is false when no time will: the sign has no limit, is
// suspended or is confirmed already.
func (s *Sign) Next() (at time.Duration, to State, ok bool) {
	suspect, confirm := s.deadlines()
	switch {
	case confirm == never || s.state == Confirmed:
		return 0, s.state, false
	case s.state == Suspect || suspect >= confirm:
		return confirm, Confirmed, true
	}
	return suspect, Suspect, true
}

func (s *Sign) deadlines() (suspect, confirm time.Duration) {
	if s.limit == 0 || s.suspended {
		return never, never
	}
	confirm = max(add(s.last, s.limit), s.until)
	// An extension moves both, so that the warning keeps its distance.
	return confirm - (s.limit - s.suspect), confirm
}

// Check judges the sign at now and returns the change, if there is one. Beats
// that wait in the socket must have been read before: Check knows only what it
// was told. When now is so late that both thresholds have passed, the suspicion
// still comes first and a second call confirms; so a late timer of ours never
// skips the evidence.
func (s *Sign) Check(now time.Duration) (Verdict, bool) {
	at, to, ok := s.Next()
	if !ok || now < at {
		return Verdict{}, false
	}
	return s.become(to, now, fmt.Sprintf("no %s for %s (limit %s)", s.noun(), round(now-s.last), s.limit)), true
}

// Beat notes that the sign was seen at now and returns the recovery, if it was
// missed. Recovery is possible from Confirmed too; whether it still matters is
// for the owner to say.
func (s *Sign) Beat(now time.Duration) (Verdict, bool) {
	gap := now - s.last
	s.last, s.until = max(s.last, now), 0
	if s.state == Healthy {
		return Verdict{}, false
	}
	return s.become(Healthy, now, fmt.Sprintf("%s again after %s", s.noun(), round(gap))), true
}

// Extend grants time: no deadline before now+d. It never shortens one. A
// service that asks for time lives, so this ends a suspicion (but not a
// confirmed verdict, which may rest on its own word).
func (s *Sign) Extend(now, d time.Duration) (Verdict, bool) {
	s.until = max(s.until, add(now, max(d, 0)))
	if suspect, _ := s.deadlines(); s.state != Suspect || suspect <= now {
		return Verdict{}, false
	}
	return s.become(Healthy, now, fmt.Sprintf("the service asked for %s more", d)), true
}

// Trigger notes that the service itself says that it is broken, which needs no
// limit.
func (s *Sign) Trigger(now time.Duration) (Verdict, bool) {
	if s.state == Confirmed {
		return Verdict{}, false
	}
	return s.become(Confirmed, now, "the service said that it is broken (WATCHDOG=trigger)"), true
}

// SetLimit changes the limit at run time (WATCHDOG_USEC) and starts the wait
// anew at now. Suspicion keeps its share of the limit. A limit that is not
// positive ends the waiting. A suspicion under the old limit is recovered.
func (s *Sign) SetLimit(now, limit time.Duration) (Verdict, bool) {
	share := 1.0
	if s.limit > 0 {
		share = float64(s.suspect) / float64(s.limit)
	}
	limit = max(limit, 0)
	s.limit, s.suspect = thresholds(limit, time.Duration(float64(limit)*share))
	return s.restart(now, Confirmed, fmt.Sprintf("limit is now %s", limit))
}

// Suspend stops judging: the process is frozen, stopped by an operator, traced,
// or being captured.
func (s *Sign) Suspend() { s.suspended = true }

// Resume judges again and gives the sign its whole limit from now on: whoever
// was stopped could not beat. A suspicion is withdrawn, and so is a verdict that
// the owner did not carry out.
func (s *Sign) Resume(now time.Duration) (Verdict, bool) {
	s.suspended = false
	return s.restart(now, Healthy, "judged again from now on")
}

// restart gives the whole limit from now on. In the state kept nothing changes.
func (s *Sign) restart(now time.Duration, kept State, text string) (Verdict, bool) {
	s.last, s.until = max(s.last, now), 0
	if s.state == Healthy || s.state == kept {
		return Verdict{}, false
	}
	return s.become(Healthy, now, text), true
}

func (s *Sign) become(to State, now time.Duration, text string) Verdict {
	v := Verdict{Sign: s.name, From: s.state, To: to, At: now, Text: text, Cause: snapshot.CauseHang}
	s.state = to
	return v
}

// Standing is what there is to say of the sign at now.
func (s *Sign) Standing(now time.Duration) Standing {
	return Standing{
		Name: s.name, Kind: KindHeartbeat, State: s.state, Age: max(now-s.last, 0), Limit: s.limit, Suspended: s.suspended,
	}
}

// noun is "beat" for the sign of the whole service, which has no name.
func (s *Sign) noun() string {
	if s.name == "" || s.name == "heartbeat" {
		return "beat"
	}
	return "beat of " + s.name
}

// round shortens a duration to what a reader needs: about three digits.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d
}

// add does not overflow for times that are not negative.
func add(a, b time.Duration) time.Duration {
	if a > never-b {
		return never - 1
	}
	return a + b
}
