package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/signals"
)

// ledger asks the supervisor in charge for all entries.
func (v *vigil) ledger() ([]control.SignalEntry, error) {
	c, err := client.Dial(v.path("run", control.SocketName))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Signals(ctx, control.SignalsQuery{})
}

// bySender sums up the deliveries of one process. An entry has the name of its
// first signal only: a HUP may be part of what a client asked for.
func bySender(list []control.SignalEntry, pid int) (sum int) {
	for _, e := range list {
		rest := e.Count - e.Others
		for _, f := range e.Senders {
			rest -= f.Count
			if f.PID == pid {
				sum += f.Count
			}
		}
		if e.Sender.PID == pid {
			sum += rest
		}
	}
	return sum
}

// TestLedger sends signals one after the other, each when the ledger has the
// one before, so that the kernel has nothing to merge: every one of them is in
// the ledger, in exactly one entry, while supervisors are replaced and killed.
func TestLedger(t *testing.T) {
	t.Parallel()
	count := 60
	if long() {
		count = 600
	}
	list := []syscall.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGQUIT, unix.SIGUSR2, unix.SIGWINCH}
	c := initial()
	v := start(t, vigilBinary, c)
	v.eventually("the first start", v.runs(c))
	over, cancel := context.WithCancel(context.Background())
	s := &storm{v: v, seed: stormSeed(t), over: over}
	var others sync.WaitGroup
	quiet := func() { cancel(); others.Wait() }
	t.Cleanup(quiet)
	act := func(most time.Duration, do func(*rand.Rand)) {
		rnd := rand.New(rand.NewPCG(s.seed, uint64(most)))
		for s.pause(rnd, most) {
			do(rnd)
		}
	}
	others.Go(func() { act(2*time.Second, s.killSupervisor) })
	others.Go(func() { act(100*time.Millisecond, s.reload) })
	rnd := rand.New(rand.NewPCG(s.seed, 9))
	begin := time.Now()
	for sent := 1; sent <= count; sent++ {
		which := list[rnd.IntN(len(list))]
		name := signals.Name(which)
		v.signal(which)
		var last []control.SignalEntry
		err := v.within(patience, func() error {
			entries, err := v.ledger()
			if err != nil {
				return err
			}
			last = entries
			if got := bySender(entries, os.Getpid()); got != sent {
				return fmt.Errorf("it has %d of %d signals", got, sent)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("the ledger does not have signal %d, %s: %v\n%+v\n%s", sent, name, err, last, v.tail())
		}
	}
	took := time.Since(begin)
	quiet()
	v.eventually("an outcome of every entry", func() error {
		code, text := v.command("signals", "--json")
		if code != 0 {
			return fmt.Errorf("vigil signals ended with %d: %s", code, text)
		}
		var entries []control.SignalEntry
		if err := json.Unmarshal([]byte(text), &entries); err != nil {
			return err
		}
		if err := sound(entries); err != nil {
			return err
		}
		if n := bySender(entries, os.Getpid()); n != count {
			return fmt.Errorf("the ledger has %d signals, %d were sent", n, count)
		}
		return nil
	})
	t.Logf("%d signals in %v, all in the ledger; %v", count, took.Round(time.Millisecond), &s.done)
	v.end()
}

// sound complains about entries that come twice or have no outcome.
func sound(list []control.SignalEntry) error {
	last := uint64(0)
	for _, e := range list {
		if e.Seq <= last {
			return fmt.Errorf("entry %d after %d", e.Seq, last)
		}
		last = e.Seq
		if e.Outcome == "" {
			return fmt.Errorf("entry %d (%s, %s) has no outcome", e.Seq, e.Signal, e.Demand)
		}
	}
	return nil
}
