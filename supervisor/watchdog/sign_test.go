package watchdog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const s = time.Second

func want(t *testing.T, v Verdict, changed bool, to State, text string) {
	t.Helper()
	if !changed || v.To != to || v.Text != text {
		t.Errorf("got %v %v %q, want %v %q", changed, v.To, v.Text, to, text)
	}
}

func wantNone(t *testing.T, v Verdict, changed bool) {
	t.Helper()
	if changed {
		t.Errorf("unwanted verdict %+v", v)
	}
}

func wantNext(t *testing.T, sign *Sign, at time.Duration, to State) {
	t.Helper()
	gotAt, gotTo, ok := sign.Next()
	if !ok || gotAt != at || gotTo != to {
		t.Errorf("Next() = %v, %v, %v; want %v, %v", gotAt, gotTo, ok, at, to)
	}
}

func TestSignSuspectConfirmedRecovered(t *testing.T) {
	sign := NewSign("", 2*s, 1*s, 100*s)
	wantNext(t, sign, 101*s, Suspect)
	v, ok := sign.Beat(100*s + s/2)
	wantNone(t, v, ok)
	wantNext(t, sign, 101*s+s/2, Suspect)
	v, ok = sign.Check(101 * s)
	wantNone(t, v, ok)
	v, ok = sign.Check(101*s + s/2)
	want(t, v, ok, Suspect, "no beat for 1s (limit 2s)")
	wantNext(t, sign, 102*s+s/2, Confirmed)
	v, ok = sign.Beat(102 * s)
	want(t, v, ok, Healthy, "beat again after 1.5s")
	v, ok = sign.Check(110 * s)
	want(t, v, ok, Suspect, "no beat for 8s (limit 2s)")
	v, ok = sign.Check(110 * s)
	want(t, v, ok, Confirmed, "no beat for 8s (limit 2s)")
	if _, _, ok := sign.Next(); ok {
		t.Error("a confirmed sign waits for something")
	}
	v, ok = sign.Beat(111 * s)
	want(t, v, ok, Healthy, "beat again after 9s")
}

func TestSignText(t *testing.T) {
	sign := NewSign("worker-3", 2*s, 0, 0)
	v, ok := sign.Check(2*s + 123*time.Millisecond)
	want(t, v, ok, Confirmed, "no beat of worker-3 for 2.1s (limit 2s)")
}

func TestSignWithoutLimit(t *testing.T) {
	sign := NewSign("", 0, s, 0)
	if _, _, ok := sign.Next(); ok {
		t.Error("a sign without limit waits")
	}
	v, ok := sign.Check(1000 * s)
	wantNone(t, v, ok)
	v, ok = sign.Trigger(1000 * s)
	want(t, v, ok, Confirmed, "the service said that it is broken (WATCHDOG=trigger)")
	v, ok = sign.Trigger(1001 * s)
	wantNone(t, v, ok)
}

func TestSignExtend(t *testing.T) {
	sign := NewSign("", 10*s, 6*s, 0)
	v, ok := sign.Extend(1*s, 2*s) // shorter than what it has
	wantNone(t, v, ok)
	wantNext(t, sign, 6*s, Suspect)
	v, ok = sign.Check(6 * s)
	want(t, v, ok, Suspect, "no beat for 6s (limit 10s)")
	v, ok = sign.Extend(7*s, 30*s)
	want(t, v, ok, Healthy, "the service asked for 30s more")
	wantNext(t, sign, 33*s, Suspect)
	v, ok = sign.Beat(20 * s) // back to the ordinary limit
	wantNone(t, v, ok)
	wantNext(t, sign, 26*s, Suspect)
	v, ok = sign.Extend(20*s, -5*s)
	wantNone(t, v, ok)
	wantNext(t, sign, 26*s, Suspect)
}

func TestSignSetLimit(t *testing.T) {
	sign := NewSign("", 10*s, 5*s, 0)
	v, ok := sign.SetLimit(1*s, 20*s)
	wantNone(t, v, ok)
	wantNext(t, sign, 11*s, Suspect)
	v, ok = sign.Check(11 * s)
	want(t, v, ok, Suspect, "no beat for 10s (limit 20s)")
	v, ok = sign.SetLimit(12*s, 0)
	want(t, v, ok, Healthy, "limit is now 0s")
	if _, ok := sign.Check(1000 * s); ok {
		t.Error("judged without limit")
	}
}

func TestSignSuspendResume(t *testing.T) {
	sign := NewSign("", 2*s, 1*s, 0)
	v, ok := sign.Check(1 * s)
	want(t, v, ok, Suspect, "no beat for 1s (limit 2s)")
	sign.Suspend()
	v, ok = sign.Check(100 * s)
	wantNone(t, v, ok)
	v, ok = sign.Resume(100 * s)
	want(t, v, ok, Healthy, "judged again from now on")
	wantNext(t, sign, 101*s, Suspect)
}

func TestSigns(t *testing.T) {
	var all Signs
	if _, ok := all.Next(); ok {
		t.Error("no signs, but a deadline")
	}
	for i := range MaxSigns {
		if err := all.Add(NewSign(fmt.Sprint("n", i), time.Duration(i+1)*s, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := all.Add(NewSign("more", s, 0, 0)); !errors.Is(err, ErrTooManySigns) {
		t.Errorf("%v", err)
	}
	if at, ok := all.Next(); !ok || at != s {
		t.Errorf("%v %v", at, ok)
	}
	if v := all.Check(3 * s); len(v) != 3 || v[2].Sign != "n2" {
		t.Errorf("%+v", v)
	}
	if err := all.Add(NewSign("n0", 1000*s, 0, 3*s)); err != nil || all.Get("n0").State() != Healthy {
		t.Errorf("replace: %v", err)
	}
	if all.Get("other") != nil || len(all.All()) != MaxSigns {
		t.Error("wrong content")
	}
	all.Suspend()
	if v := all.Check(5000 * s); v != nil {
		t.Errorf("%+v", v)
	}
	all.Resume(5000 * s)
	if at, _ := all.Next(); at != 5002*s {
		t.Errorf("%v", at)
	}
}

// Whatever happens: a limit that is judged always has a deadline or is
// confirmed, nothing is confirmed before the limit has passed since the last
// beat, and every change of state is told.
func TestSignProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Duration(rapid.Int64Range(0, 1000).Draw(t, "boot")) * s
		limit := time.Duration(rapid.Int64Range(0, 50).Draw(t, "limit")) * s
		sign := NewSign("", limit, time.Duration(rapid.Int64Range(-1, 60).Draw(t, "suspect"))*s, now)
		last := now
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.Int64Range(0, 20).Draw(t, "dt")) * s
			before := sign.State()
			var v Verdict
			var changed bool
			action := rapid.SampledFrom([]string{"beat", "check", "check", "extend", "limit", "suspend", "resume", "trigger"}).Draw(t, "action")
			switch action {
			case "beat":
				v, changed = sign.Beat(now)
				last = now
			case "check":
				v, changed = sign.Check(now)
				if changed && v.To == Confirmed && now-last < sign.Limit() {
					t.Fatalf("confirmed after %v of %v", now-last, sign.Limit())
				}
				if changed && sign.Suspended() {
					t.Fatal("judged while suspended")
				}
			case "extend":
				v, changed = sign.Extend(now, time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "d")))
			case "limit":
				v, changed = sign.SetLimit(now, time.Duration(rapid.Int64Range(-1, 50).Draw(t, "l"))*s)
				last = now
			case "suspend":
				sign.Suspend()
			case "resume":
				v, changed = sign.Resume(now)
				last = now
			case "trigger":
				v, changed = sign.Trigger(now)
			}
			if changed != (sign.State() != before) || changed && (v.From != before || v.To != sign.State() || v.At != now || v.Text == "") {
				t.Fatalf("%s: %v -> %v told as %v %+v", action, before, sign.State(), changed, v)
			}
			at, to, ok := sign.Next()
			if judged := sign.Limit() > 0 && !sign.Suspended() && sign.State() != Confirmed; ok != judged {
				t.Fatalf("%s: Next %v %v %v, but judged %v", action, at, to, ok, judged)
			}
		}
	})
}

func TestStateString(t *testing.T) {
	if got := fmt.Sprint(Healthy, Suspect, Confirmed, State(9)); !strings.Contains(got, "suspect confirmed State(9)") {
		t.Error(got)
	}
}
