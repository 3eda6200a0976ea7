package watchdog

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// ProbeRule says how the answers of one probe are judged.
type ProbeRule struct {
	Name             string
	Period, Timeout  time.Duration // positive
	StartPeriod      time.Duration // after the service is up, until the first success
	FailureThreshold int           // in a row; at least 1
	SuccessThreshold int           // in a row; at least 1
	Readiness        bool          // it only says whether the service is ready
	Cluster          bool          // its failure alone is no verdict
}

// Probe judges one probe of one instance. It knows when the next attempt is
// due, and what the answers mean; asking is the owner's part. There is never
// more than one attempt at a time.
//
// It is suspect when the larger half of the allowed failures has come, and
// confirmed with the last. A probe of the cluster is never confirmed: the owner
// restarts the service only if there is local evidence as well, see Failed.
type Probe struct {
	rule      ProbeRule
	phase     time.Duration
	next      time.Duration
	begun     time.Duration // of the attempt under way
	running   bool
	void      bool // the answer of the attempt under way does not count
	extra     bool // the attempt, or the next one, is one that was asked for
	upAt      time.Duration
	up        bool
	failures  int
	successes int
	ever      bool // it has succeeded once
	failed    bool // FailureThreshold was reached, and not yet left
	state     State
	lastAt    time.Duration // of the last answer, or of the beginning
	text      string        // of the last answer
	suspended bool
}

// NewProbe begins at now. The first attempt is due at once, the further ones on
// a grid whose phase depends on the key, so that many services are not asked at
// the same moment.
func NewProbe(r ProbeRule, key string, now time.Duration) *Probe {
	r.FailureThreshold, r.SuccessThreshold = max(r.FailureThreshold, 1), max(r.SuccessThreshold, 1)
	h := fnv.New64a()
	h.Write([]byte(key + "\x00" + r.Name)) // never fails
	return &Probe{rule: r, next: now, lastAt: now, phase: time.Duration(h.Sum64() % uint64(r.Period))}
}

// Name of the probe.
func (p *Probe) Name() string { return p.rule.Name }

// Timeout of one attempt.
func (p *Probe) Timeout() time.Duration { return p.rule.Timeout }

// Next is when an attempt is due: not before the last one has ended. One that is
// not told to have ended long after its time is lost, and must not silence the
// probe.
func (p *Probe) Next() (at time.Duration, ok bool) {
	if p.running {
		return p.begun + p.rule.Timeout + lostAfter, !p.suspended
	}
	return p.next, !p.suspended
}

// lostAfter is how long after the timeout an attempt may take to end: it kills
// what it has started.
const lostAfter = 5 * time.Second

// Up says that the service is up since now: failures before that do not count.
func (p *Probe) Up(now time.Duration) {
	if !p.up {
		p.up, p.upAt = true, now
	}
}

// Begin notes that an attempt is made. Done must follow, or Withdrawn.
func (p *Probe) Begin(now time.Duration) { p.running, p.void, p.begun = true, false, now }

// ProbeChange is what an answer has changed.
type ProbeChange struct {
	Verdicts []Verdict
	Ready    bool   // the service may be called ready, by this probe
	Unready  bool   // it may not
	Failed   string // a probe of the cluster has failed: the sentence; told once
}

// Done takes the answer of the attempt under way. One that began before Resume
// was asked of a service that could not answer: it says nothing.
func (p *Probe) Done(now time.Duration, ok bool, text string) (c ProbeChange) {
	if !p.running {
		return c
	}
	p.running, p.lastAt, p.text = false, now, text
	switch {
	case p.suspended || p.void:
	case ok:
		p.success(now, &c)
	case !p.extra:
		p.failure(now, &c)
	}
	p.extra = false
	p.plan(now)
	return c
}

// AskNow makes the next attempt due at once, unless one is under way: it may tell
// more (ThreadRules.Ask). Its failure does not count, for it comes early.
func (p *Probe) AskNow(now time.Duration) {
	if !p.running && !p.suspended && p.next > now {
		p.next, p.extra = now, true
	}
}

// Withdrawn notes that the attempt under way has ended and says nothing.
func (p *Probe) Withdrawn(now time.Duration) {
	if p.running {
		p.running, p.extra = false, false
		p.plan(now)
	}
}

// plan chooses the next point of the grid, never less than half a period after
// the beginning of the last attempt.
func (p *Probe) plan(now time.Duration) {
	at := max(now, p.begun+p.rule.Period/2)
	p.next = (at-p.phase)/p.rule.Period*p.rule.Period + p.phase
	for p.next < at {
		p.next += p.rule.Period
	}
	if !p.counts(now) {
		// Somebody waits for the first success, and failures say nothing yet.
		p.next = min(p.next, max(now, p.begun+min(p.rule.Period, firstPeriod)))
	}
}

// firstPeriod is the period as long as failures do not count, if it is shorter.
const firstPeriod = 500 * time.Millisecond

// counts says whether a failure counts: the service has shown that it can
// answer, or has had its time to learn it.
func (p *Probe) counts(now time.Duration) bool {
	return p.ever || p.up && now-p.upAt >= p.rule.StartPeriod
}

func (p *Probe) success(now time.Duration, c *ProbeChange) {
	p.failures = 0
	p.successes++
	if p.successes < p.rule.SuccessThreshold {
		return
	}
	p.ever, p.failed, c.Ready = true, false, true
	if p.state != Healthy {
		c.Verdicts = append(c.Verdicts, p.become(Healthy, now, fmt.Sprintf("probe `%s` succeeds again: %s", p.rule.Name, p.text)))
	}
}

func (p *Probe) failure(now time.Duration, c *ProbeChange) {
	p.successes = 0
	if !p.counts(now) {
		return
	}
	p.failures = min(p.failures+1, p.rule.FailureThreshold)
	text := fmt.Sprintf("probe `%s` failed, %d of %d: %s", p.rule.Name, p.failures, p.rule.FailureThreshold, p.text)
	over := p.failures >= p.rule.FailureThreshold
	if p.rule.Readiness {
		if over && !p.failed {
			p.failed, c.Unready = true, true
		}
		return
	}
	if p.state == Healthy && 2*p.failures >= p.rule.FailureThreshold {
		c.Verdicts = append(c.Verdicts, p.become(Suspect, now, text))
	}
	switch {
	case !over || p.failed:
	case p.rule.Cluster:
		p.failed, c.Failed = true, text
	default:
		p.failed = true
		c.Verdicts = append(c.Verdicts, p.become(Confirmed, now, text))
	}
}

// Failed says that the threshold is reached, with the proof.
func (p *Probe) Failed() (text string, failed bool) {
	return fmt.Sprintf("probe `%s` failed, %d of %d: %s", p.rule.Name, p.failures, p.rule.FailureThreshold, p.text), p.failed
}

func (p *Probe) become(to State, now time.Duration, text string) Verdict {
	v := Verdict{Sign: "probe " + p.rule.Name, From: p.state, To: to, At: now, Text: text, Cause: snapshot.CauseProbe}
	p.state = to
	return v
}

// Suspend stops asking and judging.
func (p *Probe) Suspend() { p.suspended = true }

// Resume begins anew: failures of before do not count, and an attempt that is
// still under way does not either; the next one begins after its end. A whole
// machine may have been asleep, so not all probes are due at once.
func (p *Probe) Resume(now time.Duration) []Verdict {
	p.suspended, p.void = false, p.running
	p.failures, p.successes, p.failed, p.extra = 0, 0, false, false
	p.plan(now)
	if p.state == Healthy {
		return nil
	}
	return []Verdict{p.become(Healthy, now, "asked again from now on")}
}

// Standing is for `vigil status`. Its age is that of the last answer.
func (p *Probe) Standing(now time.Duration) Standing {
	text := p.text
	if text == "" {
		text = "no answer yet"
	}
	if p.rule.Readiness {
		text = "readiness: " + text
	}
	if p.failures > 0 {
		text = fmt.Sprintf("%d of %d failures: %s", p.failures, p.rule.FailureThreshold, text)
	}
	return Standing{Name: p.rule.Name, Kind: KindProbe, State: p.state, Age: max(now-p.lastAt, 0), Limit: p.rule.Period + p.rule.Timeout, Suspended: p.suspended, Text: text}
}
