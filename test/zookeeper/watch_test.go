package zookeeper

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/proctask"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// Times of a watch, shorter than those of the examples.
const (
	watchWithin = 3 * time.Second
	watchPeriod = 1500 * time.Millisecond // of the canary
	watchMost   = time.Second             // for a canary
)

// rules are those of examples/zookeeper/standalone.toml, with a shorter limit.
func rules() []watchdog.ThreadRule {
	return []watchdog.ThreadRule{
		{Name: "NIOServerCxnFac", Minimum: 2, Within: watchWithin},
		{Name: "RequestThrottle", Within: watchWithin},
		{Name: "ProcessThread*", Roles: []string{"standalone"}, Within: watchWithin},
		{Name: "SyncThread:*", Within: watchWithin},
		{Name: "SessionTracker", Within: watchWithin},

		{Name: "RequestThrottle", Progress: true, While: "serving", Within: watchWithin},
		{Name: "ProcessThread*", Progress: true, While: "serving", Roles: []string{"standalone"}, Within: watchWithin},
		{Name: "SyncThread:*", Progress: true, While: "serving", Within: watchWithin},
		{Name: "SessionTracker", Progress: true, Within: 10 * time.Second},
	}
}

// watch judges a server by its threads and a canary, as the supervisor does.
type watch struct {
	t       *testing.T
	server  *server
	rules   *watchdog.ThreadRules
	scanner *proctask.Scanner
	stop    chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	verdicts []watchdog.Verdict
	good     int // answers of the canary
}

func (s *server) watch(t *testing.T, pid int) *watch {
	t.Helper()
	r, err := watchdog.NewThreadRules(rules(), clock.Boot())
	if err != nil {
		t.Fatal(err)
	}
	scanner, err := proctask.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{t: t, server: s, rules: r, scanner: scanner, stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	t.Cleanup(w.end)
	return w
}

func (w *watch) end() {
	if w.stop == nil {
		return
	}
	close(w.stop)
	<-w.done
	w.stop = nil
	_ = w.scanner.Close()
}

// attempt is what a canary comes to.
type attempt struct {
	err  error
	role string
	told bool // the role
}

func (w *watch) run() {
	defer close(w.done)
	results := make(chan attempt, 1)
	canary := time.NewTicker(watchPeriod)
	defer canary.Stop()
	under := false
	ask := func() bool {
		if under {
			return true
		}
		under = true
		if !w.scan() {
			return false
		}
		w.rules.Demand(clock.Boot(), "serving")
		go func() { results <- w.server.canary() }()
		return true
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-timer.C:
			if !w.scan() {
				return
			}
		case <-canary.C:
			if !ask() {
				return
			}
		case a := <-results:
			under = false
			w.answer(a)
		}
		w.take(w.rules.Check(clock.Boot()))
		if len(w.rules.Ask()) > 0 && !ask() {
			return
		}
		at, _ := w.rules.Next()
		timer.Reset(max(at-clock.Boot(), 0))
	}
}

func (w *watch) scan() bool {
	now := clock.Boot()
	s, err := w.scanner.Scan(w.rules.Want())
	if errors.Is(err, proctask.ErrEnded) {
		return false
	}
	if err != nil {
		w.rules.ScanFailed(now, err)
		return true
	}
	w.rules.ObserveScan(now, s)
	return true
}

func (w *watch) answer(a attempt) {
	now := clock.Boot()
	if errors.Is(a.err, errRefused) {
		w.rules.Withdrawn("serving")
	} else {
		w.rules.Answered(now, "serving", a.err == nil)
	}
	if a.told {
		w.rules.Role(now, a.role)
	}
	if a.err == nil {
		w.mu.Lock()
		w.good++
		w.mu.Unlock()
	}
}

func (w *watch) take(list []watchdog.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range list {
		w.t.Logf("%s: %s -> %s: %s", w.server.address, v.From, v.To, v.Text)
	}
	w.verdicts = append(w.verdicts, list...)
}

// first returns the first verdict after a time.
func (w *watch) first(after time.Duration) (watchdog.Verdict, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.verdicts {
		if v.To == watchdog.Confirmed && v.At > after {
			return v, true
		}
	}
	return watchdog.Verdict{}, false
}

// healthy waits until every rule that was broken is said to hold again.
func (w *watch) healthy() {
	w.t.Helper()
	eventually(w.t, mostServe, "recoveries", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		last := map[string]watchdog.Verdict{}
		for _, v := range w.verdicts {
			last[v.Sign] = v
		}
		for _, v := range last {
			if v.To != watchdog.Healthy {
				return errors.New(v.Text)
			}
		}
		return nil
	})
}

// serves waits until the canary was answered so many times more.
func (w *watch) serves(n int) {
	w.t.Helper()
	w.mu.Lock()
	want := w.good + n
	w.mu.Unlock()
	eventually(w.t, mostServe, "answers to the canary", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.good < want {
			return fmt.Errorf("%d of %d", w.good, want)
		}
		return nil
	})
}

// confirmed waits for the first verdict and says how long after begin it came.
func (w *watch) confirmed(begin time.Duration) watchdog.Verdict {
	w.t.Helper()
	var v watchdog.Verdict
	eventually(w.t, mostServe, "a verdict", func() error {
		var ok bool
		if v, ok = w.first(begin); !ok {
			return errors.New("there is none")
		}
		return nil
	})
	w.t.Logf("%s after %s", v.Cause, (v.At - begin).Round(time.Millisecond))
	return v
}

// canary writes through this server, and then asks for its role.
func (s *server) canary() attempt {
	var a attempt
	a.err = s.put(watchMost, "/canary")
	mode, err := s.mode()
	switch {
	case err == nil:
		a.role, a.told = mode, true
	case strings.Contains(err.Error(), "not currently serving requests"):
		a.told = true
	}
	return a
}
