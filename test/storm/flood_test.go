package storm

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
)

// mostForFlood is what vigil may write for 2,000 HUPs in a second, in bytes.
const mostForFlood = 64 << 10

// TestFlood sends 2,000 HUPs in about a second, and then 20,000: how much vigil
// writes is bounded by the time that they take.
func TestFlood(t *testing.T) {
	t.Parallel()
	const senders = 4
	counts := []int{2000}
	if long() {
		counts = append(counts, 20000)
	}
	for _, count := range counts {
		c := initial()
		v := start(t, vigilBinary, c)
		v.eventually("the first start", v.runs(c))
		log, ledger, said := v.written()
		begin := time.Now()
		// Each round of a sender is 5/3 of a signal, and half the longest pause.
		pause := time.Second * 10 / 3 * senders / time.Duration(count)
		var all sync.WaitGroup
		for i := range senders {
			all.Go(func() {
				_, err := shoot(volley{PID: v.pid(), Seed: uint64(i), Signals: []syscall.Signal{unix.SIGHUP}, Time: patience, Pause: pause, Most: count / senders})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		took := time.Since(begin)
		v.configure(c.with(marked, "after"))
		v.signal(unix.SIGHUP)
		v.eventually("the configuration before the last HUP", v.runs(c.with(marked, "after")))
		var i control.Instance
		v.eventually("somebody in charge", func() (err error) { i, err = v.instance(); return err })
		log2, ledger2, said2 := v.written()
		wrote := log2 - log + ledger2 - ledger + said2 - said
		t.Logf("%d HUPs in %v: %d reloads; written: log %d, ledger %d, standard error %d bytes", count, took.Round(time.Millisecond), i.Epoch-1, log2-log, ledger2-ledger, said2-said)
		if seconds := int64(max(took, time.Second)/time.Second) + 1; wrote > mostForFlood*seconds {
			t.Errorf("%d bytes were written in %v, more than %d a second", wrote, took, mostForFlood)
		}
		v.end()
	}
}
