package watchdog

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// gimliProgram plays the program's side: plain stores, state first.
type gimliProgram struct{ words wire.GimliWords }

func (p *gimliProgram) set(state wire.GimliState) {
	p.words[0].Store(int32(state))
	p.words[1].Add(1)
}

func gimliOf(p *gimliProgram) *Gimli {
	return newGimli(&p.words, GimliOptions{Starting: 200 * s, Running: 60 * s, Stopping: 30 * s})
}

func TestGimliLimitsOfItsStates(t *testing.T) {
	for _, c := range []struct {
		state            wire.GimliState
		suspect, confirm time.Duration
		cause            snapshot.Cause
		text             string
	}{
		{wire.GimliStarting, 120 * s, 200 * s, snapshot.CauseStartTimeout, "libgimli: starting, no tick for 3m20s of 3m20s"},
		{wire.GimliRunning, 36 * s, 60 * s, snapshot.CauseHang, "libgimli: running, no tick for 1m0s of 1m0s"},
		{wire.GimliStopping, 18 * s, 30 * s, snapshot.CauseHang, "libgimli: stopping, no tick for 30s of 30s"},
		{77, 36 * s, 60 * s, snapshot.CauseHang, "libgimli: state 77, no tick for 1m0s of 1m0s"},
	} {
		p := &gimliProgram{}
		g := gimliOf(p)
		if g.Attached() || g.Check(1000*s) != nil || g.Check(9000*s) != nil {
			t.Error("a program that has not attached is judged")
		}
		p.set(c.state)
		if !g.Attached() || g.Check(9001*s) != nil {
			t.Errorf("%v: judged at once", c.state)
		}
		at := func(d time.Duration) time.Duration { return 9001*s + d }
		if v := g.Check(at(c.suspect - 1)); v != nil {
			t.Errorf("%v: %+v", c.state, v)
		}
		if next, ok := g.Next(); !ok || next != at(c.suspect) {
			t.Errorf("%v: next look at %v", c.state, next)
		}
		if v := g.Check(at(c.suspect)); len(v) != 1 || v[0].To != Suspect || v[0].Cause != c.cause {
			t.Errorf("%v: %+v", c.state, v)
		}
		if v := g.Check(at(c.confirm - 1)); v != nil {
			t.Errorf("%v: %+v", c.state, v)
		}
		if next, ok := g.Next(); !ok || next != at(c.confirm) {
			t.Errorf("%v: next look at %v", c.state, next)
		}
		v := g.Check(at(c.confirm))
		wantOne(t, v, Confirmed, c.text)
		if len(v) == 1 && v[0].Cause != c.cause {
			t.Errorf("%v: cause %v", c.state, v[0].Cause)
		}
		p.set(c.state)
		if v := g.Check(at(c.confirm + s)); len(v) != 1 || v[0].To != Healthy {
			t.Errorf("%v: %+v", c.state, v)
		}
	}
}

func TestGimliAnyChangeIsLife(t *testing.T) {
	p := &gimliProgram{}
	g := gimliOf(p)
	p.set(wire.GimliRunning)
	now := 100 * s
	g.Check(now)
	for i, change := range []func(){
		func() { p.words[1].Add(1) }, func() { p.words[1].Store(-5) }, func() { p.words[0].Store(3) }, func() { p.words[0].Store(2) },
		func() { g.Beat(now) },
	} {
		change()
		if v := g.Check(now + 17*s); v != nil {
			t.Errorf("change %d: %+v", i, v)
		}
		now += 17 * s
	}
}

func TestGimliBeatBySignal(t *testing.T) {
	p := &gimliProgram{}
	g := gimliOf(p)
	p.set(wire.GimliStopping)
	g.Check(100 * s)
	g.Check(120 * s)
	if v := g.Beat(121 * s); len(v) != 1 || v[0].To != Healthy || p.words.Load().State != wire.GimliRunning {
		t.Errorf("%+v, %+v", v, p.words.Load())
	}
}

func TestGimliSuspendAndExtend(t *testing.T) {
	p := &gimliProgram{}
	g := gimliOf(p)
	p.set(wire.GimliRunning)
	g.Check(100 * s)
	if v := g.Check(140 * s); len(v) != 1 || v[0].To != Suspect {
		t.Errorf("%+v", v)
	}
	if v := g.Extend(140*s, 100*s); len(v) != 1 || v[0].To != Healthy {
		t.Errorf("%+v", v)
	}
	if v := g.Check(215 * s); v != nil {
		t.Errorf("%+v", v)
	}
	g.Suspend()
	if _, ok := g.Next(); ok || g.Check(9000*s) != nil || !g.List(9000 * s)[0].Suspended {
		t.Error("judged while suspended")
	}
	if v := g.Resume(9000 * s); v != nil {
		t.Errorf("%+v", v)
	}
	if v := g.Check(9000 * s); v != nil {
		t.Errorf("%+v", v)
	}
	if v := g.Check(9035 * s); v != nil {
		t.Errorf("%+v", v)
	}
	if v := g.Check(9036 * s); len(v) != 1 || v[0].To != Suspect {
		t.Errorf("%+v", v)
	}
}

// Whatever the program writes: nothing is confirmed that changed within its
// limit, nothing without a suspicion first, and there is always a next look.
func TestGimliProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &gimliProgram{}
		g := gimliOf(p)
		now, changed, state := 100*s, 100*s, Healthy
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"tick", "state", "junk", "wait", "wait", "wait"}).Draw(t, "act") {
			case "tick":
				p.words[1].Add(1)
				changed = now
			case "state":
				p.set(wire.GimliState(rapid.Int32Range(0, 4).Draw(t, "state")))
				changed = now
			case "junk":
				p.words[0].Store(rapid.Int32().Draw(t, "junk"))
				p.words[1].Add(1)
				changed = now
			case "wait":
				now += time.Duration(rapid.Int64Range(1, 50000).Draw(t, "ms")) * time.Millisecond
			}
			before := p.words.Load()
			for _, v := range g.Check(now) {
				if v.From != state || v.To == Confirmed && (v.From != Suspect || before.State == 0) {
					t.Fatalf("%+v, was %v", v, state)
				}
				state = v.To
				if v.To == Confirmed && now-changed < g.limit() {
					t.Fatalf("%+v after %v of %v", v, now-changed, g.limit())
				}
			}
			if at, ok := g.Next(); !ok || at > now+longestScan || at < now {
				t.Fatalf("next look at %v, now %v", at, now)
			}
		}
	})
}

func TestGimliPage(t *testing.T) {
	f, err := NewGimliPage()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := MapGimliPage(f)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGimli(p, GimliOptions{Running: s})
	if g.Attached() {
		t.Error("attached")
	}
	if _, err := f.WriteAt([]byte{2, 0, 0, 0}, 0); err != nil {
		t.Fatal(err)
	}
	if !g.Attached() || g.List(s)[0].Text != "running" {
		t.Errorf("%+v", g.List(s))
	}
	if err := f.Truncate(0); err == nil {
		t.Error("a program could shrink it")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	other, err := NewPage(64)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := MapGimliPage(other); err == nil {
		t.Error("a page of another size was mapped")
	}
}
