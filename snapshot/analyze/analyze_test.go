package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func edge(from, to int64, certain bool) snapshot.Wait {
	return snapshot.Wait{Waiter: from, Holder: to, Kind: "sync.Mutex.Lock", Address: uint64(from), Certain: certain,
		Place: &snapshot.Place{Function: "main.lock", File: "/src/bank.go", Line: 10}}
}

func group(sample int64, count int, status, reason string, functions ...string) snapshot.Group {
	g := snapshot.Group{Sample: sample, Count: count, Status: status, WaitReason: reason}
	for i, f := range functions {
		g.Frames = append(g.Frames, snapshot.Frame{Place: snapshot.Place{Function: f, File: "/src/bank.go", Line: 10 + i}, PC: uint64(1000 + i)})
	}
	return g
}

func groups() []snapshot.Group {
	system := group(1, 9, "waiting", "GC worker (idle)", "runtime.gcBgMarkWorker")
	system.System = true
	return []snapshot.Group{
		system,
		group(2, 50, "waiting", "IO wait", "net/http.(*conn).serve"),
		group(3, 1, "running", "", "main.spin"),
		group(4, 20, "leaked", "chan receive", "main.drain"),
		group(5, 2, "waiting", "sync.Mutex.Lock", "sync.(*Mutex).Lock", "main.pay"),
		group(6, 2, "waiting", "sync.Mutex.Lock", "sync.(*Mutex).Lock", "main.save"),
		group(7, 8, "waiting", "sync.RWMutex.RLock", "sync.(*RWMutex).RLock", "example.com/lib.Read"),
	}
}

func TestRank(t *testing.T) {
	list := groups()
	slices.Reverse(list)
	Rank(list)
	var order []int64
	for _, g := range list {
		order = append(order, g.Sample)
	}
	if want := []int64{7, 5, 6, 4, 3, 2, 1}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// moved is the same death of another build: other ids, counts, lines, addresses.
func moved(s snapshot.Stacks) snapshot.Stacks {
	out := snapshot.Stacks{}
	for _, g := range s.Groups {
		g.Sample += 100
		g.Frames = slices.Clone(g.Frames)
		for i := range g.Frames {
			g.Frames[i].PC += 64
			g.Frames[i].Line += 3
			g.Frames[i].File = "/elsewhere/bank.go"
		}
		out.Groups = append(out.Groups, g)
	}
	for i := len(s.Waits) - 1; i >= 0; i-- {
		w := s.Waits[i]
		place := *w.Place
		place.Line++
		w.Waiter, w.Holder, w.Address, w.Place = w.Waiter+100, w.Holder+100, w.Address+64, &place
		out.Waits = append(out.Waits, w)
	}
	out.Deadlocks = Cycles(out.Waits)
	return out
}

func TestFingerprintIsStable(t *testing.T) {
	waits := []snapshot.Wait{edge(6, 7, false), edge(7, 6, false)}
	seen := map[string]string{}
	for name, s := range map[string]*snapshot.Stacks{
		"no stacks": nil, "groups": {Groups: groups()}, "one group": {Groups: groups()[4:5]},
		"deadlock": {Groups: groups(), Waits: waits, Deadlocks: Cycles(waits)},
	} {
		print := Fingerprint(snapshot.CauseHang, s)
		if len(print) != 19 || !strings.HasPrefix(print, "v2:") {
			t.Errorf("%s: %q", name, print)
		}
		if other, ok := seen[print]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[print] = name
		if s != nil {
			if again := moved(*s); Fingerprint(snapshot.CauseHang, &again) != print {
				t.Errorf("%s: the fingerprint depends on addresses, ids or lines", name)
			}
		}
		if Fingerprint(snapshot.CauseCrash, s) == print {
			t.Errorf("%s: the cause is not in the fingerprint", name)
		}
	}
}

func TestSentence(t *testing.T) {
	waits := []snapshot.Wait{edge(6, 7, false), edge(7, 6, false)}
	dead := &snapshot.Stacks{Waits: waits, Deadlocks: Cycles(waits)}
	for _, c := range []struct {
		verdict string
		stacks  *snapshot.Stacks
		want    string
	}{
		{"", nil, "hang"},
		{"no beat for 2s", nil, "hang: no beat for 2s"},
		{"no beat for 2s", &snapshot.Stacks{}, "hang: no beat for 2s"},
		{"no beat for 2s", dead, "hang: no beat for 2s; 2 goroutines likely deadlocked on sync.Mutex: g6 (main.lock bank.go:10) holds sync.Mutex 0x7 and waits for sync.Mutex 0x6, g7 (main.lock bank.go:10) holds sync.Mutex 0x6 and waits for sync.Mutex 0x7"},
		{"", &snapshot.Stacks{Groups: groups()[4:]}, "hang: 2 goroutines in main.pay bank.go:11 waiting in sync.Mutex.Lock"},
		{"", &snapshot.Stacks{Groups: groups()[3:4]}, "hang: 20 goroutines in main.drain bank.go:10 waiting in chan receive"},
		{"", &snapshot.Stacks{Groups: groups()[:3]}, "hang"},
	} {
		if got := Sentence(snapshot.CauseHang, c.verdict, c.stacks); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
