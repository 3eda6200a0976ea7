package watchdog

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// answer makes one attempt at now.
func answer(p *Probe, now time.Duration, ok bool) ProbeChange {
	p.Begin(now)
	return p.Done(now+10*time.Millisecond, ok, map[bool]string{true: "fine", false: "refused"}[ok])
}

func newLiveness(failures int) *Probe {
	p := NewProbe(ProbeRule{Name: "page", Period: 10 * s, Timeout: 2 * s, FailureThreshold: failures}, "web", 100*s)
	p.Up(100 * s)
	return p
}

func TestProbeFailsAndRecovers(t *testing.T) {
	p := newLiveness(3)
	if c := answer(p, 100*s, true); !c.Ready || c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
	if c := answer(p, 110*s, false); c.Verdicts != nil {
		t.Errorf("one failure of three: %+v", c)
	}
	wantOne(t, answer(p, 120*s, false).Verdicts, Suspect, "probe `page` failed, 2 of 3: refused")
	wantOne(t, answer(p, 130*s, true).Verdicts, Healthy, "probe `page` succeeds again: fine")
	answer(p, 140*s, false)
	answer(p, 150*s, false)
	wantOne(t, answer(p, 160*s, false).Verdicts, Confirmed, "probe `page` failed, 3 of 3: refused")
	if c := answer(p, 170*s, false); c.Verdicts != nil {
		t.Errorf("told twice: %+v", c)
	}
	wantOne(t, p.Resume(200*s), Healthy, "asked again from now on")
}

func TestProbeThresholdOfOne(t *testing.T) {
	p := newLiveness(1)
	v := answer(p, 100*s, false).Verdicts
	if len(v) != 2 || v[0].To != Suspect || v[1].To != Confirmed {
		t.Errorf("%+v", v)
	}
}

func TestProbeOfCluster(t *testing.T) {
	p := NewProbe(ProbeRule{Name: "serving", Period: 5 * s, Timeout: 2 * s, FailureThreshold: 2, Cluster: true}, "zk", 0)
	p.Up(0)
	wantOne(t, answer(p, 0, false).Verdicts, Suspect, "probe `serving` failed, 1 of 2: refused")
	c := answer(p, 5*s, false)
	if c.Failed != "probe `serving` failed, 2 of 2: refused" || c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
	if text, failed := p.Failed(); !failed || text != c.Failed {
		t.Errorf("%v %q", failed, text)
	}
	if c := answer(p, 10*s, false); c.Failed != "" || c.Verdicts != nil {
		t.Errorf("told twice: %+v", c)
	}
}

func TestProbeBeforeItIsUp(t *testing.T) {
	p := NewProbe(ProbeRule{Name: "page", Period: 10 * s, Timeout: 2 * s, FailureThreshold: 1, StartPeriod: 30 * s}, "web", 0)
	if c := answer(p, 0, false); c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
	if at, _ := p.Next(); at > 500*time.Millisecond {
		t.Errorf("while it starts it is asked again at %v", at)
	}
	p.Up(20 * s)
	if c := answer(p, 49*s, false); c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
	if c := answer(p, 51*s, false); len(c.Verdicts) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestProbeReadiness(t *testing.T) {
	p := NewProbe(ProbeRule{Name: "page", Period: 10 * s, Timeout: 2 * s, FailureThreshold: 2, SuccessThreshold: 2, Readiness: true}, "web", 0)
	p.Up(0)
	if c := answer(p, 0, true); c.Ready {
		t.Error("ready with one of two")
	}
	if c := answer(p, 10*s, true); !c.Ready {
		t.Error("not ready with two of two")
	}
	if c := answer(p, 20*s, false); c.Unready {
		t.Error("one of two failures")
	}
	if c := answer(p, 30*s, false); !c.Unready || c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
}

// Whatever the answers are: one attempt at a time, on time, and no verdict
// before the threshold.
func TestProbeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(1, 5).Draw(t, "threshold")
		p := NewProbe(ProbeRule{Name: "x", Period: time.Duration(rapid.IntRange(1, 20).Draw(t, "period")) * s, Timeout: s, FailureThreshold: threshold}, rapid.String().Draw(t, "key"), 100*s)
		p.Up(100 * s)
		now, row, state := 100*s, 0, Healthy
		for range rapid.IntRange(1, 60).Draw(t, "attempts") {
			at, ok := p.Next()
			if !ok || at < now || at > now+p.rule.Period*3/2 {
				t.Fatalf("next attempt at %v, %v; now %v, period %v", at, ok, now, p.rule.Period)
			}
			p.Begin(at)
			if lost, ok := p.Next(); !ok || lost != at+p.rule.Timeout+lostAfter {
				t.Fatalf("two attempts at a time: %v, %v", lost, ok)
			}
			now = at + time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms"))*time.Millisecond
			good := rapid.Bool().Draw(t, "good")
			if row++; good {
				row = 0
			}
			for _, v := range p.Done(now, good, "").Verdicts {
				if v.From != state || v.To == Confirmed && row < threshold || v.To == Healthy && !good {
					t.Fatalf("%+v after %d failures of %d, was %v", v, row, threshold, state)
				}
				state = v.To
			}
			if row >= threshold && state != Confirmed {
				t.Fatalf("%d failures of %d, but %v", row, threshold, state)
			}
		}
	})
}

// A service without a start period that takes its time to open its port is asked
// in its period, not in the quick one: else it would be killed within a second,
// again and again.
func TestProbeCountsInItsPeriod(t *testing.T) {
	p := newLiveness(3)
	now := 100 * s
	for n := range 3 {
		at, ok := p.Next()
		if !ok || n > 0 && at < now+5*s {
			t.Fatalf("attempt %d at %v, %v", n, at, ok)
		}
		now = at
		answer(p, now, false)
	}
	if _, failed := p.Failed(); !failed || now < 110*s {
		t.Errorf("at %v: %v", now, failed)
	}
}

// What was asked of a service that was stopped says nothing, and the next attempt
// waits for its end.
func TestProbeAttemptFromBeforeResume(t *testing.T) {
	p := newLiveness(1)
	p.Begin(100 * s)
	p.Suspend()
	p.Resume(101 * s)
	if at, ok := p.Next(); !ok || at < 107*s {
		t.Fatalf("a second attempt at %v, %v", at, ok)
	}
	if c := p.Done(102*s, false, "no answer within 2s"); c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
	at, ok := p.Next()
	if !ok || at < 102*s || at > 115*s {
		t.Fatalf("the next attempt at %v, %v", at, ok)
	}
	if c := answer(p, at, false); len(c.Verdicts) != 2 {
		t.Errorf("judged again: %+v", c)
	}
	p.Begin(at + 10*s)
	p.Withdrawn(at + 10*s)
	if next, ok := p.Next(); !ok || next > at+25*s {
		t.Errorf("after one that was withdrawn the next at %v, %v", next, ok)
	}
	p.Begin(at + 20*s)
	p.Suspend()
	if _, ok := p.Next(); ok {
		t.Error("asked while suspended")
	}
	if c := p.Done(at+21*s, true, "fine"); c.Ready || c.Verdicts != nil {
		t.Errorf("an answer while suspended: %+v", c)
	}
}

// A machine that wakes up does not ask all of its services at once.
func TestProbesAreSpread(t *testing.T) {
	tenths := map[time.Duration]int{}
	for i := range 100 {
		p := NewProbe(ProbeRule{Name: "serving", Period: 10 * s, Timeout: s}, fmt.Sprint("service-", i), 100*s)
		p.Up(100 * s)
		p.Suspend()
		p.Resume(1000 * s)
		at, ok := p.Next()
		if !ok || at < 1000*s || at >= 1010*s {
			t.Fatalf("asked at %v, %v", at, ok)
		}
		tenths[(at-1000*s)/s]++
	}
	for tenth, n := range tenths {
		if n > 25 {
			t.Errorf("%d in tenth %d: %v", n, tenth, tenths)
		}
	}
}

// An attempt that was asked for comes at once, and its failure does not count.
func TestProbeAskNow(t *testing.T) {
	p := newLiveness(1)
	answer(p, 100*s, true)
	p.AskNow(101 * s)
	if at, ok := p.Next(); !ok || at != 101*s {
		t.Fatalf("due at %v, %v", at, ok)
	}
	p.Begin(101 * s)
	p.AskNow(101 * s)
	if c := p.Done(103*s, false, "no answer within 2s"); c.Verdicts != nil {
		t.Errorf("%+v", c)
	}
	at, ok := p.Next()
	if !ok || at < 106*s {
		t.Fatalf("then due at %v, %v", at, ok)
	}
	if c := answer(p, at, false); len(c.Verdicts) != 2 {
		t.Errorf("%+v", c)
	}
}
