package zookeeper

import (
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// writers write through each of some servers, again and again, and remember when
// a write was good.
type writers struct {
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	good []write
}

// write is a good one.
type write struct {
	begun time.Time
	ended time.Time
	by    *server
}

// How the writers write.
const (
	writePause = 100 * time.Millisecond
	writeMost  = 500 * time.Millisecond
)

func startWriters(t *testing.T, servers ...*server) *writers {
	t.Helper()
	w := &writers{stop: make(chan struct{})}
	for _, s := range servers {
		w.done.Go(func() { w.run(s) })
	}
	t.Cleanup(w.end)
	return w
}

func (w *writers) end() {
	if w.stop != nil {
		close(w.stop)
		w.done.Wait()
		w.stop = nil
	}
}

func (w *writers) run(s *server) {
	stop := w.stop
	pause := time.NewTicker(writePause)
	defer pause.Stop()
	for {
		begun := time.Now()
		if s.put(writeMost, "/written") == nil {
			w.mu.Lock()
			w.good = append(w.good, write{begun, time.Now(), s})
			w.mu.Unlock()
		}
		select {
		case <-stop:
			return
		case <-pause.C:
		}
	}
}

// first returns the first good write that was begun after a time, by any server or
// by one.
func (w *writers) first(after time.Time, by *server) (write, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var best write
	for _, g := range w.good {
		if g.begun.After(after) && (by == nil || g.by == by) && (best.ended.IsZero() || g.ended.Before(best.ended)) {
			best = g
		}
	}
	return best, !best.ended.IsZero()
}

// longest is the longest time between two good writes by any server, from a time on.
func (w *writers) longest(from time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var most time.Duration
	last := from
	for _, g := range w.good { // in the order of their ends
		if g.ended.After(last) {
			most, last = max(most, g.ended.Sub(last)), g.ended
		}
	}
	return most
}

// put writes to a node, which it makes if need be.
func (s *server) put(most time.Duration, path string) error {
	return s.session(most, func(c *zk.Conn) error {
		_, err := c.Set(path, []byte("x"), -1)
		if err == zk.ErrNoNode {
			if _, err = c.Create(path, []byte("x"), 0, zk.WorldACL(zk.PermAll)); err == zk.ErrNodeExists {
				err = nil
			}
		}
		return err
	})
}
