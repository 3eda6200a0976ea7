package analyze

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func either(w snapshot.Wait) snapshot.Wait {
	w.Any = true
	return w
}

func TestCycles(t *testing.T) {
	for name, c := range map[string]struct {
		waits []snapshot.Wait
		want  []snapshot.Cycle
	}{
		"none":           {nil, nil},
		"a chain":        {[]snapshot.Wait{edge(1, 2, true), edge(2, 3, true)}, nil},
		"unknown holder": {[]snapshot.Wait{edge(1, 0, true)}, nil},
		"itself":         {[]snapshot.Wait{edge(4, 4, true)}, []snapshot.Cycle{{Members: []int64{4}, Certain: true}}},
		"two":            {[]snapshot.Wait{edge(7, 6, false), edge(6, 7, true)}, []snapshot.Cycle{{Members: []int64{6, 7}}}},
		"three, lowest first, once, with a tail": {
			[]snapshot.Wait{edge(1, 9, true), edge(9, 5, true), edge(5, 3, true), edge(3, 9, true), edge(2, 5, true)},
			[]snapshot.Cycle{{Members: []int64{3, 9, 5}, Certain: true, Behind: 2}}},
		"two of two": {
			[]snapshot.Wait{edge(1, 2, true), edge(2, 1, true), edge(3, 4, true), edge(4, 3, true)},
			[]snapshot.Cycle{{Members: []int64{1, 2}, Certain: true}, {Members: []int64{3, 4}, Certain: true}}},
		"one select with a way out": {
			[]snapshot.Wait{either(edge(1, 2, false)), either(edge(1, 0, false)), edge(2, 1, true)}, nil},
		"one select with another goroutine that runs": {
			[]snapshot.Wait{either(edge(1, 2, false)), either(edge(1, 3, false)), edge(2, 1, true)}, nil},
		"one select whose cases all lead back": {
			[]snapshot.Wait{either(edge(1, 2, false)), either(edge(1, 3, false)), edge(2, 1, true), edge(3, 1, true)},
			[]snapshot.Cycle{{Members: []int64{1, 2}, Behind: 1}}},
		"one select whose other case is behind the cycle": {
			[]snapshot.Wait{either(edge(1, 2, false)), either(edge(1, 4, false)), edge(2, 1, true), edge(4, 2, true)},
			[]snapshot.Cycle{{Members: []int64{1, 2}, Behind: 1}}},
		"a writer behind two readers, one of which waits for it": {
			[]snapshot.Wait{edge(1, 2, true), edge(1, 3, true), edge(3, 1, true)},
			[]snapshot.Cycle{{Members: []int64{1, 3}, Certain: true}}},
		"a lock and an alternative to the same": {
			[]snapshot.Wait{edge(1, 2, true), either(edge(1, 3, true)), either(edge(1, 4, true)), edge(2, 1, true)},
			[]snapshot.Cycle{{Members: []int64{1, 2}, Certain: true}}},
		"the shortest of a knot": {
			[]snapshot.Wait{edge(1, 2, true), edge(2, 3, true), edge(3, 1, true), edge(3, 2, true)},
			[]snapshot.Cycle{{Members: []int64{2, 3}, Certain: true, Behind: 1}}},
		"most behind first": {
			[]snapshot.Wait{edge(1, 2, true), edge(2, 1, true), edge(3, 4, true), edge(4, 3, true), edge(9, 8, true), edge(8, 4, true)},
			[]snapshot.Cycle{{Members: []int64{3, 4}, Certain: true, Behind: 2}, {Members: []int64{1, 2}, Certain: true}}},
		"the same edge twice": {
			[]snapshot.Wait{edge(1, 2, true), edge(1, 2, false), edge(2, 1, true)},
			[]snapshot.Cycle{{Members: []int64{1, 2}, Certain: true}}},
	} {
		if got := Cycles(c.waits); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestCyclesDoNotDependOnOrder, and a way out of a ring ends it.
func TestCyclesDoNotDependOnOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var waits []snapshot.Wait
		for range random.IntN(40) {
			w := edge(1+random.Int64N(12), random.Int64N(13), random.IntN(2) == 0)
			w.Any = random.IntN(3) == 0
			waits = append(waits, w)
		}
		first := Cycles(waits)
		for _, c := range first {
			for i, id := range c.Members {
				next := c.Members[(i+1)%len(c.Members)]
				if !slices.ContainsFunc(waits, func(w snapshot.Wait) bool { return w.Waiter == id && w.Holder == next }) {
					t.Fatalf("%d does not wait for %d in %+v", id, next, waits)
				}
			}
		}
		random.Shuffle(len(waits), func(i, j int) { waits[i], waits[j] = waits[j], waits[i] })
		for i, c := range Cycles(waits) {
			if !slices.Equal(c.Members, first[i].Members) || c.Behind != first[i].Behind {
				// Two shortest cycles of a knot are equally good; who is dead is not.
				if len(c.Members) != len(first[i].Members) || len(first) != len(Cycles(waits)) {
					t.Fatalf("%+v, then %+v", first, Cycles(waits))
				}
			}
		}
	}
}

// TestCyclesOfARing: recursion would not survive it.
func TestCyclesOfARing(t *testing.T) {
	const n = 100_000
	var waits []snapshot.Wait
	for id := int64(1); id <= n; id++ {
		waits = append(waits, edge(id, id%n+1, true))
	}
	if got := Cycles(waits); len(got) != 1 || len(got[0].Members) != n || got[0].Members[0] != 1 {
		t.Errorf("%d cycles", len(got))
	}
}

func TestBottleneck(t *testing.T) {
	waits := []snapshot.Wait{edge(1, 7, true), edge(2, 7, true), edge(3, 1, true), edge(4, 8, true), edge(5, 6, true), edge(6, 5, true), edge(9, 6, true), edge(10, 5, true), edge(11, 5, true), edge(12, 5, true)}
	b, ok := FindBottleneck(waits)
	if !ok || b.Holder != 7 || b.Behind != 3 || !b.Certain {
		t.Errorf("%+v %v", b, ok)
	}
	if _, ok := FindBottleneck(waits[4:]); ok {
		t.Error("a deadlock is a bottleneck")
	}
}

func TestDeadlockSentence(t *testing.T) {
	mutex := func(from, to int64, name string) snapshot.Wait {
		return snapshot.Wait{Waiter: from, Holder: to, Kind: "sync.Mutex.Lock", Name: name, Address: uint64(from), Certain: true}
	}
	monitor := func(from, to int64, name string) snapshot.Wait {
		return snapshot.Wait{Waiter: from, Holder: to, Kind: "monitor", Name: name, Address: uint64(from), Certain: true}
	}
	member := func(id int64, name string) snapshot.Group {
		return snapshot.Group{Count: 1, IDs: []int64{id}, Members: []snapshot.Member{{ID: id, Name: name}}}
	}
	for _, c := range []struct {
		s    snapshot.Stacks
		want string
	}{
		{snapshot.Stacks{Runtime: "go", Waits: []snapshot.Wait{mutex(7, 8, "b.mu"), mutex(8, 7, "a.mu"), mutex(9, 7, "a.mu"), mutex(10, 9, "c.mu")}},
			"2 goroutines deadlocked on sync.Mutex: g7 holds a.mu and waits for b.mu, g8 holds b.mu and waits for a.mu; 2 more wait behind them"},
		{snapshot.Stacks{Runtime: "go", Waits: []snapshot.Wait{{Waiter: 67, Holder: 68, Kind: "chan receive", Address: 0xc1}, {Waiter: 68, Holder: 67, Kind: "sync.RWMutex.Lock", Address: 0xc2}}},
			"2 goroutines likely deadlocked on channels, sync.RWMutex: g67 holds sync.RWMutex 0xc2 and waits to receive from channel 0xc1 that only g68 could send on, g68 waits for sync.RWMutex 0xc2"},
		{snapshot.Stacks{Runtime: "go", Waits: []snapshot.Wait{mutex(3, 3, "m")}}, "1 goroutine deadlocked on sync.Mutex: g3 waits for m, which it holds itself"},
		{snapshot.Stacks{Runtime: "jvm", Waits: []snapshot.Wait{monitor(1, 2, "java.lang.Object"), monitor(2, 1, "java.lang.Object")}, Groups: []snapshot.Group{member(1, "main-EventThread"), member(2, "SyncThread:1")}},
			"2 threads deadlocked on monitor: thread main-EventThread holds java.lang.Object 0x2 and waits for java.lang.Object 0x1, thread SyncThread:1 holds java.lang.Object 0x1 and waits for java.lang.Object 0x2"},
		{snapshot.Stacks{Runtime: "go", Waits: []snapshot.Wait{mutex(1, 2, "a"), mutex(2, 3, "b"), mutex(3, 4, "c"), mutex(4, 5, "d"), mutex(5, 6, "e"), mutex(6, 1, "f")}},
			"6 goroutines deadlocked on sync.Mutex: g1 holds f and waits for a, g2 holds a and waits for b, g3 holds b and waits for c, g4 holds c and waits for d, and so on over 2 more back to g1"},
	} {
		cycles := Cycles(c.s.Waits)
		if len(cycles) != 1 {
			t.Errorf("%d cycles for %s", len(cycles), c.want)
			continue
		}
		if got := Deadlock(c.s, cycles[0]); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// BenchmarkCycles: 100,000 waiters with ten alternatives each.
func BenchmarkCycles(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var waits []snapshot.Wait
	for id := int64(1); id <= 100_000; id++ {
		for range 10 {
			w := edge(id, 1+random.Int64N(100_000), true)
			w.Any = true
			waits = append(waits, w)
		}
	}
	for b.Loop() {
		Cycles(waits)
	}
}
