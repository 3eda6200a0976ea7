package analyze

import (
	"slices"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// reading is the stacks of process 9 at a second after the start.
func reading(second int, groups ...snapshot.Group) snapshot.Stacks {
	s := snapshot.Stacks{PID: 9, Runtime: "go", Taken: time.Unix(int64(second), 0), Groups: groups}
	for _, g := range groups {
		s.Unwound += g.Count
	}
	return s
}

// with gives a group its members.
func with(g snapshot.Group, ids ...int64) snapshot.Group {
	g.IDs, g.Count = ids, len(ids)
	return g
}

func span(from, to int64) (ids []int64) {
	for id := from; id <= to; id++ {
		ids = append(ids, id)
	}
	return ids
}

func TestCompareOfOneProcess(t *testing.T) {
	wait := group(1, 0, "waiting", "chan receive", "runtime.gopark", "main.wait")
	spin := group(2, 0, "running", "", "main.hot")
	elsewhere := group(2, 0, "runnable", "", "runtime.asyncPreempt2", "main.hot")
	serve := group(3, 0, "waiting", "IO wait", "net/http.(*conn).serve")
	a := reading(0, with(wait, span(100, 511)...), with(spin, 1, 2, 3), with(serve, 20, 21, 22, 23, 24, 25))
	b := reading(1, with(wait, append(span(100, 511), 20, 21, 22, 23)...), with(spin, 1, 2), with(elsewhere, 3), with(group(9, 0, "running", "", "main.fresh"), 25, 30))
	c := Compare(a, b)
	if want := "412 of 420 goroutines did not move in 1.0 s; 3 spin in main.hot; 5 move; 1 is new; 1 is gone"; c.Sentence != want {
		t.Errorf("got  %s\nwant %s", c.Sentence, want)
	}
	var sides []string
	for _, g := range c.Groups {
		sides = append(sides, g.Side+" "+g.Where.Function)
	}
	if want := []string{"right main.fresh", "right main.hot", "left net/http.(*conn).serve", "both main.wait", "both main.hot"}; !slices.Equal(sides, want) {
		t.Errorf("sides %q", sides)
	}
	if first := c.Changes[0]; first.Motion != snapshot.MotionSpins || first.ID != 1 {
		t.Errorf("first change %+v", first)
	}
}

// TestCompareMember: what decides between still, moves and spins.
func TestCompareMember(t *testing.T) {
	running := group(1, 0, "running", "", "main.hot")
	waiting := group(1, 0, "waiting", "select", "main.wait")
	other := group(1, 0, "running", "", "main.other")
	lines := group(1, 0, "running", "", "main.hot")
	lines.Frames[0].Line = 99
	waited := func(g snapshot.Group, s snapshot.Seconds) snapshot.Group {
		g = with(g, 1)
		g.Members = []snapshot.Member{{ID: 1, Waiting: s}}
		return g
	}
	thread := func(cpu snapshot.Seconds, switches int64) snapshot.Thread {
		return snapshot.Thread{TID: 50, Goroutine: 1, UserTime: cpu, Voluntary: switches}
	}
	for name, c := range map[string]struct {
		a, b    snapshot.Group
		threads []snapshot.Thread // of a, of b
		want    string
	}{
		"same wait":                     {with(waiting, 1), with(waiting, 1), nil, snapshot.MotionStill},
		"woken between":                 {waited(waiting, 60), waited(waiting, 0.5), nil, snapshot.MotionMoves},
		"waits on":                      {waited(waiting, 60), waited(waiting, 61), nil, snapshot.MotionStill},
		"runs, then waits":              {with(running, 1), with(waiting, 1), nil, snapshot.MotionMoves},
		"runs in another function":      {with(running, 1), with(other, 1), nil, snapshot.MotionMoves},
		"runs in the same function":     {with(running, 1), with(lines, 1), nil, snapshot.MotionSpins},
		"runs with processor time used": {with(running, 1), with(running, 1), []snapshot.Thread{thread(1, 5), thread(2, 5)}, snapshot.MotionSpins},
		"called running, no time used":  {with(running, 1), with(running, 1), []snapshot.Thread{thread(1, 5), thread(1, 5)}, snapshot.MotionStill},
	} {
		a, b := reading(0, c.a), reading(1, c.b)
		if len(c.threads) == 2 {
			a.Threads, b.Threads = c.threads[:1], c.threads[1:]
		}
		got := Compare(a, b)
		n := map[string]int{snapshot.MotionStill: got.Still, snapshot.MotionMoves: got.Moves, snapshot.MotionSpins: got.Spins}
		if n[c.want] != 1 || got.Both != 1 {
			t.Errorf("%s: %s", name, got.Sentence)
		}
	}
}

// TestCompareOfTwoProcesses: another build, other lines; ids mean nothing.
func TestCompareOfTwoProcesses(t *testing.T) {
	a := reading(0, with(group(1, 0, "waiting", "select", "main.a"), 1), with(group(2, 0, "waiting", "select", "main.b"), 2))
	moved := group(1, 0, "waiting", "select", "main.b")
	moved.Frames[0].Line += 7
	b := reading(9, with(moved, 1), with(group(3, 0, "running", "", "main.c"), 2))
	b.PID = 10
	c := Compare(a, b)
	if c.SameProcess || c.Both != 0 {
		t.Errorf("members of two processes were compared: %+v", c)
	}
	if want := "1 group on both sides, 1 only in the first, 1 only in the second; 2 goroutines then, 2 now"; c.Sentence != want {
		t.Errorf("got %s", c.Sentence)
	}
	if g := c.Groups[2]; g.Side != snapshot.SideBoth || !g.OtherLines || g.LeftGroup != 1 || g.RightGroup != 0 {
		t.Errorf("%+v", g)
	}
}

func TestCompareOfNothing(t *testing.T) {
	if c := Compare(snapshot.Stacks{}, snapshot.Stacks{}); c.Sentence == "" || len(c.Groups) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestCompareOfNativeThreads(t *testing.T) {
	thread := func(tid int, state, f string, cpu snapshot.Seconds, vol int64) snapshot.Thread {
		return snapshot.Thread{TID: tid, Comm: "w", State: state, UserTime: cpu, Voluntary: vol, Frames: []snapshot.Frame{{Place: snapshot.Place{Function: f}}}}
	}
	a := snapshot.Stacks{PID: 3, Runtime: "native", Threads: []snapshot.Thread{thread(1, "S", "poll", 1, 8), thread(2, "R", "grind", 1, 2)}}
	b := snapshot.Stacks{PID: 3, Runtime: "native", Threads: []snapshot.Thread{thread(1, "S", "poll", 1, 8), thread(2, "R", "grind", 2, 2)}}
	if got, want := Compare(a, b).Sentence, "1 of 2 threads did not move; 1 spins in grind"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestCompareProcess(t *testing.T) {
	thread := func(tid int, state string, cpu snapshot.Seconds, vol, invol int64) snapshot.Thread {
		return snapshot.Thread{TID: tid, Comm: "w", State: state, UserTime: cpu, Voluntary: vol, Involuntary: invol, Wchan: "futex_wait"}
	}
	a := snapshot.Process{PID: 3, StartTicks: 5, Taken: time.Unix(1, 0), Threads: []snapshot.Thread{
		thread(1, "S", 1, 5, 0), thread(2, "R", 1, 5, 0), thread(3, "D", 1, 5, 0), thread(4, "S", 1, 5, 0), thread(5, "S", 0, 0, 0)}}
	b := snapshot.Process{PID: 3, StartTicks: 5, Taken: time.Unix(3, 5e8), Threads: []snapshot.Thread{
		thread(1, "S", 1, 5, 0), thread(2, "R", 3, 5, 90), thread(3, "D", 1, 5, 0), thread(4, "S", 1.1, 9, 0), thread(6, "S", 0, 0, 0)}}
	c := CompareProcess(a, b)
	if want := "2 of 4 threads did not move in 2.5 s; 1 spins; 1 moves; 1 is stopped inside the kernel (state D); 1 is new; 1 is gone"; c.Sentence != want {
		t.Errorf("got  %s\nwant %s", c.Sentence, want)
	}
	if c.Changes[0].ID != 3 {
		t.Errorf("the thread in state D is not first: %+v", c.Changes)
	}
	b.StartTicks++
	if c := CompareProcess(a, b); c.SameProcess || c.Both != 0 {
		t.Errorf("two processes with one pid: %+v", c)
	}
}

// TestCompareIsBounded: many goroutines, and more stacks than are listed.
func TestCompareIsBounded(t *testing.T) {
	var list []snapshot.Group
	for i := range 4096 {
		g := group(int64(i), 0, "running", "", "main.f")
		g.Frames[0].Line = i
		list = append(list, with(g, span(int64(i)*25, int64(i)*25+24)...))
	}
	c := Compare(reading(0, list...), reading(1, list...))
	if len(c.Groups) != snapshot.MaxChanges || len(c.Changes) != snapshot.MaxChanges || c.Spins != 102_400 || c.Cut == 0 {
		t.Errorf("%d groups, %d changes, %d spin, %d cut", len(c.Groups), len(c.Changes), c.Spins, c.Cut)
	}
}
