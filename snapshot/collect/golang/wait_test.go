package golang

import (
	"slices"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// TestHealthyWaits: what only looks like a deadlock, because the stacks do not
// show who will wake whom, is none.
func TestHealthyWaits(t *testing.T) {
	exe := program(t, "waits", "waits")
	core, _ := frozen(t, exe)
	s, missing := collect(t, Options{Core: core, Exe: exe, NoVariables: true})
	if len(missing) > 0 || len(s.Deadlocks) > 0 || len(s.Waits) == 0 {
		t.Errorf("missing %q, deadlocks %q, %d waits", missing, sentences(s), len(s.Waits))
	}
	if slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, "not proven") }) {
		t.Errorf("notes %q", s.Notes)
	}
	for _, w := range s.Waits {
		if !w.Any && w.Holder != 0 {
			t.Errorf("a certain holder of %+v", w)
		}
	}
	if b, ok := analyze.FindBottleneck(s.Waits); ok {
		t.Errorf("a bottleneck: %+v", b)
	}
	// The stacks alone would make deadlocks of them: of each pair, and of the pool.
	if s, _ := collect(t, Options{Core: core, Exe: exe, NoVariables: true, guess: true}); len(s.Deadlocks) < 6 {
		t.Errorf("only %q look like deadlocks", sentences(s))
	}
}

// TestDeadlocks: each is found beside the healthy ones, and nothing else.
func TestDeadlocks(t *testing.T) {
	exe := program(t, "waits", "waits")
	core, _ := frozen(t, exe, "WAITS=deadlocks")
	s, missing := collect(t, Options{Core: core, Exe: exe, NoVariables: true})
	if len(missing) > 0 {
		t.Errorf("missing %q", missing)
	}
	names := functions(s)
	var got []string
	for _, c := range s.Deadlocks {
		var members []string
		for _, id := range c.Members {
			members = append(members, names[id])
		}
		slices.Sort(members)
		got = append(got, strings.Join(members, " "))
		if c.Certain {
			t.Errorf("%v is certain", members)
		}
	}
	slices.Sort(got)
	want := []string{
		"againReader againWriter", "condSignaller condWaiter", "groupCollect groupWorker", "lockReceiver lockSender",
		"selectFirst selectSecond", "sendLeft sendRight", "shelfReader shelfWriter",
	}
	if !slices.Equal(got, want) {
		t.Errorf("deadlocks %q,\nwant %q\nnotes %q", got, want, s.Notes)
	}
	text := strings.Join(sentences(s), "\n")
	for _, part := range []string{
		"(main.sendLeft deadlock.go:36) waits to send on channel 0x",
		"waits in a select to receive from channel 0x",
		"(main.groupCollect deadlock.go:87) waits in sync.WaitGroup 0x",
		"for reading and waits for it once more, behind the writer g",
		"(main.condWaiter deadlock.go:108) waits in sync.Cond 0x",
		"(main.lockSender deadlock.go:138) holds sync.Mutex 0x",
		"; 2 more wait behind them",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	nils := slices.IndexFunc(s.Waits, func(w snapshot.Wait) bool { return names[w.Waiter] == "receiveNil" })
	if nils < 0 || s.Waits[nils].Holder != 0 || s.Waits[nils].Any || s.Waits[nils].Kind != "chan receive (nil chan)" {
		t.Errorf("the nil channel: %d", nils)
	}
	if !slices.ContainsFunc(s.Notes, func(n string) bool {
		return strings.HasPrefix(n, "nobody can wake those that wait for a nil channel: 1, the first is goroutine ")
	}) {
		t.Errorf("notes %q", s.Notes)
	}
}

func sentences(s snapshot.Stacks) (list []string) {
	for _, c := range s.Deadlocks {
		list = append(list, analyze.Deadlock(s, c))
	}
	return list
}

// functions are the functions of our own that goroutines stand in.
func functions(s snapshot.Stacks) map[int64]string {
	names := map[int64]string{}
	for _, g := range s.Groups {
		if f, own := analyze.OwnFrame(g.Frames); own {
			for _, id := range g.IDs {
				names[id] = strings.TrimPrefix(f.Function, "main.")
			}
		}
	}
	return names
}
