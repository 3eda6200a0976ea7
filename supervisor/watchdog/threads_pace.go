package watchdog

import (
	"fmt"
	"time"
)

// How often threads are looked at.
const (
	quickestThreadScan = 100 * time.Millisecond
	slowestThreadScan  = time.Second // while a rule is in trouble
	threadScanShare    = 5           // looks in the shortest limit of a rule
	calmFactor         = 4           // fewer while no rule is in trouble,
	calmShare          = 3           // but so many in the shortest limit
	costShare          = 100         // a scan may take one such part of its period
)

// pace chooses the time of the next scan.
type pace struct {
	shortest time.Duration // limit of all rules
	near     bool
	cost     time.Duration // of a scan, smoothed
	last     time.Duration // when the last scan began
	next     time.Duration
}

func newPace(rules []*rule, now time.Duration) pace {
	p := pace{shortest: never, last: now, next: now}
	for _, r := range rules {
		p.shortest = min(p.shortest, r.Within)
	}
	return p
}

// scanned plans the scan after one at now. Scans lie on a grid, so that those of
// many services fall together and the processor sleeps between.
func (p *pace) scanned(now, took time.Duration, near bool) {
	p.near = near
	p.last = max(p.last, now)
	if p.cost == 0 {
		p.cost = took
	}
	p.cost += (took - p.cost) / 4
	period, _ := p.period()
	p.next = (now/period + 1) * period
}

// period returns the time between two scans, and whether their cost stretched it.
func (p *pace) period() (period time.Duration, stretched bool) {
	period = min(max(p.shortest/threadScanShare, quickestThreadScan), slowestThreadScan)
	if !p.near {
		period = max(period, min(period*calmFactor, p.shortest/calmShare))
	}
	if dear := p.cost * costShare; dear > period {
		// Not beyond the limit itself: a rule must still be judged.
		if dear = min(dear, max(p.shortest, period)); dear > period {
			return dear, true
		}
	}
	return period, false
}

// String says how often threads are looked at.
func (p *pace) String() string {
	period, stretched := p.period()
	text := fmt.Sprintf("a scan every %s takes %s", round(period), p.cost.Round(10*time.Microsecond))
	if stretched {
		text += ", so they are fewer"
	}
	return text
}
