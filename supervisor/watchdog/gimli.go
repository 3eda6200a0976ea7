package watchdog

import (
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// gimliSign is the name of the one sign that libgimli gives.
const gimliSign = "libgimli"

// GimliOptions are the longest silences in the states of libgimli; 0: any.
type GimliOptions struct {
	Starting, Running, Stopping time.Duration
	Share                       float64 // of a limit, after which it is suspect; 0: 0.6
}

// Gimli judges the heartbeat of a program that is linked with libgimli. A change
// of its state or of its ticks is a sign of life, dated by the look that finds
// it; so a verdict is late by the time between two looks at most. A program that
// has not attached is not judged.
type Gimli struct {
	words     *wire.GimliWords
	opt       GimliOptions
	seen      wire.GimliBeat
	since     time.Duration // CLOCK_BOOTTIME at which that was seen first
	until     time.Duration // no deadline before this: the service asked for time
	next      time.Duration
	state     State
	looked    bool
	suspended bool
}

// NewGimli judges a page. The first look gives it its whole limit.
func NewGimli(p *GimliPage, o GimliOptions) *Gimli { return newGimli(p.words, o) }

func newGimli(words *wire.GimliWords, o GimliOptions) *Gimli {
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 0.6
	}
	return &Gimli{words: words, opt: o}
}

// Attached says that the program has the segment, and so its handlers of faults.
func (g *Gimli) Attached() bool { return g.words.Load().State != wire.GimliUnsupported }

// limit is the longest silence in the state that was seen last. A state that
// does not exist counts as running: whoever writes one still has to beat.
func (g *Gimli) limit() time.Duration {
	switch g.seen.State {
	case wire.GimliUnsupported:
		return 0
	case wire.GimliStarting:
		return g.opt.Starting
	case wire.GimliStopping:
		return g.opt.Stopping
	}
	return g.opt.Running
}

func (g *Gimli) deadlines() (suspect, confirm time.Duration, ok bool) {
	limit := g.limit()
	if limit <= 0 {
		return 0, 0, false
	}
	confirm = max(add(g.since, limit), g.until)
	return confirm - time.Duration(float64(limit)*(1-g.opt.Share)), confirm, true
}

// Next is when the segment is to be looked at again.
func (g *Gimli) Next() (time.Duration, bool) { return g.next, !g.suspended }

// Check looks at the segment and judges it. Suspicion comes first even when
// both thresholds have passed; the next look then confirms, at once.
func (g *Gimli) Check(now time.Duration) []Verdict {
	if g.suspended {
		return nil
	}
	var all []Verdict
	if beat := g.words.Load(); !g.looked || beat != g.seen {
		gap := now - g.since
		g.looked, g.seen, g.since, g.until = true, beat, now, 0
		if g.state != Healthy {
			all = append(all, g.become(Healthy, now, fmt.Sprintf("libgimli: %s, beats again after %s", beat.State, round(gap))))
		}
	}
	suspect, confirm, judged := g.deadlines()
	switch {
	case !judged || g.state == Confirmed:
	case g.state == Suspect && now >= confirm:
		all = append(all, g.become(Confirmed, now, g.proof(now)))
	case g.state == Healthy && now >= suspect:
		all = append(all, g.become(Suspect, now, g.proof(now)))
	}
	g.plan(now, suspect, confirm)
	return all
}

// plan chooses the time of the next look: on a grid, so that those of many
// services fall together, or at a deadline before.
func (g *Gimli) plan(now, suspect, confirm time.Duration) {
	period := longestScan
	if limit := g.limit(); limit > 0 {
		period = min(max(limit/scanShare, shortestScan), longestScan)
	}
	g.next = (now/period + 1) * period
	switch {
	case confirm == 0 || g.state == Confirmed:
	case g.state == Suspect:
		g.next = min(g.next, max(confirm, now))
	default:
		g.next = min(g.next, max(suspect, now))
	}
}

// proof is why it is late.
func (g *Gimli) proof(now time.Duration) string {
	return fmt.Sprintf("libgimli: %s, no tick for %s of %s", g.seen.State, round(now-g.since), g.limit())
}

// Beat is a beat by signal, of a script: the state is running, and it ticks.
func (g *Gimli) Beat(now time.Duration) []Verdict {
	g.words.Beat()
	return g.Check(now)
}

// Extend grants time: no deadline before now+d. A suspicion ends.
func (g *Gimli) Extend(now, d time.Duration) []Verdict {
	g.until = max(g.until, add(now, max(d, 0)))
	if suspect, _, ok := g.deadlines(); g.state != Suspect || ok && suspect <= now {
		return nil
	}
	return []Verdict{g.become(Healthy, now, fmt.Sprintf("the service asked for %s more", d))}
}

// Suspend stops judging.
func (g *Gimli) Suspend() { g.suspended = true }

// Resume judges again, with the whole limit from now on.
func (g *Gimli) Resume(now time.Duration) []Verdict {
	g.suspended, g.looked, g.until, g.next = false, false, 0, now
	if g.state == Healthy {
		return nil
	}
	return []Verdict{g.become(Healthy, now, "judged again from now on")}
}

func (g *Gimli) become(to State, now time.Duration, text string) Verdict {
	v := Verdict{Sign: gimliSign, From: g.state, To: to, At: now, Text: text, Cause: snapshot.CauseHang}
	if g.seen.State == wire.GimliStarting {
		v.Cause = snapshot.CauseStartTimeout
	}
	g.state = to
	return v
}

// List says how it stands.
func (g *Gimli) List(now time.Duration) []Standing {
	s := Standing{Name: gimliSign, Kind: KindGimli, State: g.state, Limit: g.limit(), Suspended: g.suspended, Text: g.words.Load().State.String()}
	if g.looked {
		s.Age = max(now-g.since, 0)
	}
	return []Standing{s}
}
