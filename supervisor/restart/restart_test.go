package restart

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms, sec = time.Millisecond, time.Second

func TestDecide(t *testing.T) {
	always, onFailure, never := Default(), Default(), Default()
	onFailure.Mode, never.Mode = OnFailure, Never
	crash := End{Failed: true}
	tests := []struct {
		name string
		p    Policy
		h    History
		end  End
		want Decision
		then int // failures in the new history
	}{
		{"first retry is immediate", always, History{}, crash,
			Decision{Restart: true, Attempt: 1, Reason: "retry 1, at once"}, 1},
		{"second waits the minimum", always, History{Failures: 1}, crash,
			Decision{Restart: true, Attempt: 2, Delay: 200 * ms, Reason: "retry 2, after 200ms"}, 2},
		{"then it doubles", always, History{Failures: 3}, crash,
			Decision{Restart: true, Attempt: 4, Delay: 800 * ms, Reason: "retry 4, after 800ms"}, 4},
		{"up to the maximum", always, History{Failures: 5000}, crash,
			Decision{Restart: true, Attempt: 5001, Delay: time.Minute, Reason: "retry 5001, after 1m"}, 5001},
		{"status 0 is a failure too", always, History{}, End{},
			Decision{Restart: true, Attempt: 1, Reason: "retry 1, at once"}, 1},
		{"unless the policy is on-failure", onFailure, History{Failures: 2}, End{},
			Decision{Reason: "it ended with status 0 and the restart policy is on-failure"}, 2},
		{"on-failure restarts a failure", onFailure, History{}, crash,
			Decision{Restart: true, Attempt: 1, Reason: "retry 1, at once"}, 1},
		{"never", never, History{}, crash, Decision{Reason: "the restart policy is never"}, 0},
		{"asked for wipes the history", always, History{Failures: 7, GaveUp: true}, End{Asked: true, Failed: true},
			Decision{Reason: "the end was asked for"}, 0},
		{"healthy time resets", always, History{Failures: 7}, End{Failed: true, Healthy: true, Uptime: time.Minute},
			Decision{Restart: true, Attempt: 1, Reason: "retry 1, at once"}, 1},
		{"too little of it does not", always, History{Failures: 1}, End{Healthy: true, Uptime: time.Minute - 1},
			Decision{Restart: true, Attempt: 2, Delay: 200 * ms, Reason: "retry 2, after 200ms"}, 2},
		{"a start timeout is no healthy time", always, History{Failures: 1}, End{Failed: true, Uptime: time.Hour},
			Decision{Restart: true, Attempt: 2, Delay: 200 * ms, Reason: "retry 2, after 200ms"}, 2},
		{"given up stays", always, History{GaveUp: true}, End{Failed: true, Healthy: true, Uptime: time.Hour},
			Decision{GiveUp: true, Reason: "it had given up before"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, h := Decide(tt.p, tt.h, tt.end, time.Hour, 0.5)
			if got != tt.want {
				t.Errorf("decision = %+v, want %+v", got, tt.want)
			}
			if h.Failures != tt.then {
				t.Errorf("failures = %d, want %d", h.Failures, tt.then)
			}
		})
	}
}

func TestLimitWindow(t *testing.T) {
	p := Default()
	p.LimitStarts, p.LimitWithin = 3, 10*sec
	var h History
	end := End{Failed: true}
	give := func(now time.Duration) Decision {
		var d Decision
		d, h = Decide(p, h, end, now, 0.5)
		return d
	}
	for _, now := range []time.Duration{0, 9 * sec, 11 * sec} { // the first has left the window at 11 s
		if d := give(now); !d.Restart {
			t.Fatalf("at %s: %+v", now, d)
		}
	}
	if d := give(19 * sec); !d.GiveUp || d.Reason != "3 starts ended within 10s" {
		t.Fatalf("fourth end: %+v, want the limit", d)
	}
	if d := give(time.Hour); !d.GiveUp || d.Restart {
		t.Fatalf("after giving up: %+v", d)
	}
}

func TestHistoryOfAnotherBootIsDropped(t *testing.T) {
	p := Default()
	p.LimitStarts = 2
	d, h := Decide(p, History{Ends: []time.Duration{time.Hour}}, End{Failed: true}, sec, 0.5)
	if !d.Restart || !reflect.DeepEqual(h.Ends, []time.Duration{sec}) {
		t.Fatalf("decision %+v, history %+v", d, h)
	}
}

func TestImmediate(t *testing.T) {
	p := Default()
	onFailure := p
	onFailure.Mode = OnFailure
	last := p
	last.LimitStarts = 1
	tests := []struct {
		name string
		p    Policy
		h    History
		want bool
	}{
		{"fresh", p, History{}, true},
		{"after one failure", p, History{Failures: 1}, false},
		{"settled again", p, History{Failures: 4}.Settle(), true},
		{"the status decides", onFailure, History{}, false},
		{"the limit is near", last, History{}, false},
		{"given up", p, History{GaveUp: true}, false},
	}
	for _, tt := range tests {
		if got := Immediate(tt.p, tt.h, time.Hour); got != tt.want {
			t.Errorf("%s: Immediate = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPlan(t *testing.T) {
	steps := Plan(Default())
	want := []time.Duration{0, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms}
	var got []time.Duration
	for _, s := range steps {
		got = append(got, s.Delay)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("delays = %v, want %v", got, want)
	}
	if last := steps[len(steps)-1]; last.Elapsed != 51*sec || last.Attempt != 9 {
		t.Errorf("last step = %+v, want attempt 9 after 51s", last)
	}
	unlimited := Default()
	unlimited.LimitStarts = 0
	if steps := Plan(unlimited); steps[len(steps)-1].Delay != time.Minute || len(steps) != 11 {
		t.Errorf("unlimited plan = %v, want to end with the first minute", steps)
	}
}

func TestOutlook(t *testing.T) {
	change := func(f func(*Policy)) Policy { p := Default(); f(&p); return p }
	tests := []struct {
		p    Policy
		want string
	}{
		{Default(), "gives up after 10 starts within 10m (about 51s if it dies at once)"},
		{change(func(p *Policy) { p.LimitStarts = 0 }), "never gives up (no limit)"},
		{change(func(p *Policy) { p.LimitStarts = 1 }), "gives up after 1 start within 10m (at once if it dies at once)"},
		{change(func(p *Policy) { p.LimitStarts = 20 }),
			"gives up after 20 starts within 10m (never if it dies at once: the delays keep it below that)"},
		{change(func(p *Policy) { p.LimitStarts, p.Max = 1000, 200*ms }),
			"gives up after 1000 starts within 10m (about 3m20s if it dies at once)"},
		{change(func(p *Policy) { p.Mode = Never }), "never restarts"},
		{change(func(p *Policy) { p.Mode = OnFailure }), "gives up after 10 starts within 10m (about 51s if it dies at once)"},
	}
	for _, tt := range tests {
		if got := Outlook(tt.p); got != tt.want {
			t.Errorf("Outlook = %q, want %q", got, tt.want)
		}
	}
}

func policies() *rapid.Generator[Policy] {
	return rapid.Custom(func(t *rapid.T) Policy {
		low := rapid.Int64Range(int64(ms), int64(time.Minute)).Draw(t, "min")
		return Policy{
			Mode:        rapid.SampledFrom(Modes()).Draw(t, "mode"),
			Min:         time.Duration(low),
			Max:         time.Duration(rapid.Int64Range(low, int64(24*time.Hour)).Draw(t, "max")),
			Factor:      rapid.Float64Range(1, 100).Draw(t, "factor"),
			Jitter:      rapid.Float64Range(0, 1).Draw(t, "jitter"),
			ResetAfter:  time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "reset")),
			LimitStarts: rapid.IntRange(0, 20).Draw(t, "starts"),
			LimitWithin: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "within")),
		}
	})
}

func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		var h History
		var now, before time.Duration
		gaveUp := false
		for range rapid.IntRange(1, 60).Draw(t, "lives") {
			uptime := time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "uptime"))
			end := End{
				Asked:   rapid.IntRange(0, 9).Draw(t, "asked") == 0,
				Failed:  rapid.Bool().Draw(t, "failed"),
				Healthy: rapid.Bool().Draw(t, "healthy"),
				Uptime:  uptime,
			}
			now += uptime
			rnd := rapid.Float64Range(0, 0.999).Draw(t, "rnd")
			d, next := Decide(p, h, end, now, rnd)
			checkDecision(t, p, h, end, d, next, gaveUp)
			plain := p
			plain.Jitter = 0
			if dp, _ := Decide(plain, h, end, now, rnd); dp.Restart {
				if dp.Attempt > 1 && dp.Attempt == h.Failures+1 && dp.Delay < before {
					t.Fatalf("without jitter delay %s follows %s", dp.Delay, before)
				}
				before = dp.Delay
			}
			gaveUp = (gaveUp || d.GiveUp) && !end.Asked
			now += d.Delay
			h = next
		}
	})
}

func checkDecision(t *rapid.T, p Policy, h History, end End, d Decision, next History, gaveUp bool) {
	switch {
	case d.Restart && (gaveUp || end.Asked || p.Mode == Never || d.GiveUp):
		t.Fatalf("restart against the rules: %+v after %+v", d, end)
	case p.LimitStarts == 0 && d.GiveUp:
		t.Fatalf("gave up without a limit")
	case len(next.Ends) > p.LimitStarts:
		t.Fatalf("history holds %d ends, the limit is %d", len(next.Ends), p.LimitStarts)
	case d.Reason == "":
		t.Fatalf("a decision without a reason")
	}
	if d.Restart && end.Healthy && end.Uptime >= p.ResetAfter && (d.Attempt != 1 || d.Delay != 0) {
		t.Fatalf("healthy for %s, yet %+v", end.Uptime, d)
	}
	if d.Restart && d.Attempt > 1 {
		low, high := float64(p.Min)*(1-p.Jitter)-1, float64(p.Max)*(1+p.Jitter)+1
		if f := float64(d.Delay); f < low || f > high {
			t.Fatalf("delay %s outside [%v, %v]", d.Delay, low, high)
		}
	}
	stored, err := json.Marshal(next)
	if err != nil {
		t.Fatal(err)
	}
	var back History
	if err := json.Unmarshal(stored, &back); err != nil || !reflect.DeepEqual(back, next) {
		t.Fatalf("history %+v came back as %+v (%v)", next, back, err)
	}
	if Immediate(p, h, 0) && (h.Failures != 0 || h.GaveUp || p.Mode != Always) {
		t.Fatalf("standing order allowed with %+v", h)
	}
}

func TestDecideLeavesItsHistoryAlone(t *testing.T) {
	ends := make([]time.Duration, 3, 10)
	h := History{Ends: ends}
	_, a := Decide(Default(), h, End{Failed: true}, sec, 0.5)
	_, b := Decide(Default(), h, End{Failed: true}, 2*sec, 0.5)
	if a.Ends[3] != sec || b.Ends[3] != 2*sec {
		t.Fatalf("two decisions share memory: %v %v", a.Ends, b.Ends)
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range Modes() {
		if got, err := ParseMode(string(m)); err != nil || got != m {
			t.Errorf("ParseMode(%q) = %q, %v", m, got, err)
		}
	}
	if _, err := ParseMode("sometimes"); err == nil {
		t.Error("ParseMode accepts an unknown mode")
	}
}
