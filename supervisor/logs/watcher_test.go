package logs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// witness is a Watcher that keeps everything.
type witness struct {
	t     *testing.T
	out   *Output
	mu    sync.Mutex
	got   [streams]strings.Builder
	ended [streams]int
	flush int
}

func (w *witness) Feed(stderr bool, p []byte, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at <= 0 {
		w.t.Errorf("read at %v", at)
	}
	w.got[w.stream(stderr)].Write(p)
}

func (w *witness) End(stderr bool, _ time.Duration) { w.ended[w.stream(stderr)]++ }

func (w *witness) Flush() {
	w.out.Stats() // no lock is held
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush++
}

func (w *witness) stream(stderr bool) Stream {
	if stderr {
		return Stderr
	}
	return Stdout
}

// With a file and without one the watcher sees all, in order, of its own instance.
func TestWatcher(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		var all []*witness
		out := newOutput(t, Options{Directory: dir, Watch: func() Watcher {
			all = append(all, &witness{t: t})
			return all[len(all)-1]
		}})
		for n := range 2 {
			i := out.Begin()
			all[n].out = out
			var want [streams]string
			var readers []*Reader
			for s := range streams {
				r, w := pipe(t)
				reader, err := i.Read(s, r)
				if err != nil {
					t.Fatal(err)
				}
				want[s] = fmt.Sprintf("%d %v\n", n, s) + strings.Repeat("x", 300_000) + "\nno newline"
				if _, err := w.WriteString(want[s]); err != nil {
					t.Fatal(err)
				}
				_ = w.Close()
				readers = append(readers, reader)
			}
			for _, r := range readers {
				done(t, r)
			}
			for s := range streams {
				if all[n].got[s].String() != want[s] || all[n].ended[s] != 1 {
					t.Errorf("instance %d, %v: %d bytes of %d, ended %d times", n, s, all[n].got[s].Len(), len(want[s]), all[n].ended[s])
				}
			}
			if all[n].flush < 4 {
				t.Errorf("flushed %d times", all[n].flush)
			}
		}
	}
}
