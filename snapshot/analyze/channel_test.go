package analyze

import (
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func channelEdge(from, to int64, kind string, address uint64) snapshot.Wait {
	return snapshot.Wait{Waiter: from, Holder: to, Kind: kind, Address: address, Any: true}
}

// TestChannelSentence: who alone could end the wait for a channel is told.
func TestChannelSentence(t *testing.T) {
	for _, c := range []struct {
		waits []snapshot.Wait
		want  string
	}{
		{[]snapshot.Wait{channelEdge(7, 8, "chan send", 0xa), channelEdge(8, 7, "select receive", 0xb), channelEdge(8, 7, "select send", 0xc)},
			"2 goroutines likely deadlocked on channels: g7 waits to send on channel 0xa that only g8 could receive from, g8 waits in a select to receive from channel 0xb that only g7 could send on"},
		{[]snapshot.Wait{channelEdge(1, 2, "sync.WaitGroup.Wait", 0xa), channelEdge(1, 3, "sync.WaitGroup.Wait", 0xa), channelEdge(2, 1, "chan send", 0xb), channelEdge(3, 1, "chan send", 0xb)},
			"2 goroutines likely deadlocked on sync.WaitGroup, channels: g1 waits in sync.WaitGroup 0xa for g2 or 1 more, g2 waits to send on channel 0xb that only g1 could receive from; 1 more waits behind them"},
		{[]snapshot.Wait{channelEdge(1, 2, "sync.RWMutex.RLock", 0xa), channelEdge(2, 1, "sync.RWMutex.Lock", 0xa)},
			"2 goroutines likely deadlocked on sync.RWMutex: g1 holds sync.RWMutex 0xa for reading and waits for it once more, behind the writer g2, g2 waits for sync.RWMutex 0xa"},
		// A reader and a writer of two locks are no such pair.
		{[]snapshot.Wait{channelEdge(1, 2, "sync.RWMutex.RLock", 0xa), channelEdge(2, 1, "sync.RWMutex.Lock", 0xb)},
			"2 goroutines likely deadlocked on sync.RWMutex: g1 holds sync.RWMutex 0xb and waits for sync.RWMutex 0xa, g2 holds sync.RWMutex 0xa and waits for sync.RWMutex 0xb"},
	} {
		s := snapshot.Stacks{Runtime: "go", Waits: c.waits}
		cycles := Cycles(s.Waits)
		if len(cycles) != 1 {
			t.Errorf("%d cycles for %s", len(cycles), c.want)
			continue
		}
		if got := Deadlock(s, cycles[0]); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestSomebodyUnknown: one who may be woken by somebody unknown is in no deadlock,
// and an idle pool is no bottleneck.
func TestSomebodyUnknown(t *testing.T) {
	waits := []snapshot.Wait{channelEdge(1, 2, "chan receive", 0xa), channelEdge(2, 1, "chan receive", 0xb), channelEdge(1, 0, "chan receive", 0xa)}
	if got := Cycles(waits); len(got) > 0 {
		t.Errorf("a deadlock: %v", got)
	}
	waits = nil
	for id := int64(10); id < 30; id++ {
		waits = append(waits, channelEdge(id, 1, "chan receive", 0xa), channelEdge(id, 0, "chan receive", 0xa))
	}
	if b, ok := FindBottleneck(waits); ok {
		t.Errorf("a bottleneck: %+v", b)
	}
	// Whoever sends under a lock has those behind it, though it waits itself.
	waits = append(waits, edge(2, 10, false), edge(3, 10, false))
	if b, ok := FindBottleneck(waits); !ok || b.Holder != 10 || b.Behind != 2 {
		t.Errorf("%+v %v", b, ok)
	}
}
