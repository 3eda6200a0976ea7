package intake

import (
	"sync"
	"syscall"

	"github.com/vigil-supervisor/vigil/signals"
)

// queueLimit is how many records wait for the consumer, each for itself.
// Further ones are merged; no count is lost.
const queueLimit = 1024

// queue lies between the reader and the consumer. It holds at most queueLimit
// records and one more for each signal.
type queue struct {
	mu      sync.Mutex
	records []signals.Record
	ready   chan struct{}
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) put(r signals.Record) {
	q.mu.Lock()
	if len(q.records) < queueLimit || !merge(q.records, r) {
		q.records = append(q.records, r)
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) take() []signals.Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.records
	q.records = nil
	return list
}

// merge counts r in a record of the same signal and sender, else in the newest
// of the same signal. It reports false when there is none.
func merge(list []signals.Record, r signals.Record) bool {
	same := -1
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Signal != r.Signal {
			continue
		}
		if list[i].Sender.Same(r.Sender) {
			list[i].Count += r.Count
			list[i].Unnamed += r.Unnamed
			return true
		}
		if same < 0 {
			same = i
		}
	}
	if same < 0 {
		return false
	}
	list[same].Count += r.Count
	list[same].Unnamed += r.Count
	return true
}

// unnamed is the record of n deliveries of which only the number is left.
func unnamed(sig syscall.Signal, n uint64) signals.Record {
	const most = 1 << 40 // no count of ours is near it
	count := int(min(n, most))
	return signals.Record{Signal: sig, Sender: signals.Unknown, Count: count, Unnamed: count}
}
