package supervisor

import (
	"errors"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/proctask"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// threadWatch looks at the threads of the main process of one instance and
// judges them. The looks are made beside the loop, one at a time.
type threadWatch struct {
	v       *service
	rules   *watchdog.ThreadRules
	scanner *proctask.Scanner
	looking bool
	then    []func() // to be run after a look that begins from now on
	over    bool     // the process has ended, or nobody wants to know any more
}

// armThreads begins to watch threads.
func (v *service) armThreads() {
	if len(v.cfg.Threads) == 0 || v.threads != nil || !v.isUp() || v.started.PID == 0 {
		return
	}
	rules, err := watchdog.NewThreadRules(threadRules(v.cfg.Threads), clock.Boot())
	if err == nil {
		v.threads = &threadWatch{v: v, rules: rules}
		v.threads.scanner, err = proctask.Open(v.started.PID)
	}
	if err != nil {
		v.threads = nil
		if !errors.Is(err, proctask.ErrEnded) { // else its end is about to be told
			v.s.event(v.cfg.Name, "alert", "threads are not watched: "+err.Error())
		}
		return
	}
	v.watch.others = append(v.watch.others, v.threads)
}

func threadRules(list []config.Thread) []watchdog.ThreadRule {
	var all []watchdog.ThreadRule
	for _, t := range list {
		all = append(all, watchdog.ThreadRule{
			Name: t.Name, Unless: t.Unless, Roles: t.Roles, Minimum: t.Minimum, Within: t.Within,
			Progress: t.Expect == config.ExpectProgress, While: t.While, After: t.After,
		})
	}
	return all
}

// end stops looking. A look under way closes the scanner when it is over.
func (t *threadWatch) end() {
	if t == nil || t.over {
		return
	}
	t.over = true
	if !t.looking {
		_ = t.scanner.Close()
	}
	for _, f := range t.take() {
		f()
	}
}

func (t *threadWatch) take() []func() {
	list := t.then
	t.then = nil
	return list
}

// Next is when to look; not while a look is under way, which judges anyway.
func (t *threadWatch) Next() (time.Duration, bool) {
	if t.looking || t.over {
		return 0, false
	}
	return t.rules.Next()
}

// Check looks. What that shows is judged when it is there.
func (t *threadWatch) Check(time.Duration) []watchdog.Verdict {
	t.look()
	return nil
}

// before runs f after a look that begins now: what follows f is then compared
// with it. f is run in any case.
func (t *threadWatch) before(f func()) {
	if t == nil || t.over {
		f()
		return
	}
	t.then = append(t.then, f)
	t.look()
}

func (t *threadWatch) look() {
	if t.looking || t.over {
		return
	}
	t.looking = true
	then, want, begun := t.take(), t.rules.Want(), clock.Boot()
	go func() {
		scan, err := t.scanner.Scan(want)
		t.v.s.post(func() { t.seen(begun, scan, err, then) })
	}()
}

func (t *threadWatch) seen(begun time.Duration, scan proctask.Scan, err error, then []func()) {
	t.looking = false
	switch {
	case t.over:
		_ = t.scanner.Close()
	case errors.Is(err, proctask.ErrEnded):
		t.end()
	case err != nil:
		t.rules.ScanFailed(begun, err)
	default:
		t.rules.ObserveScan(begun, scan)
		t.judge()
	}
	for _, f := range then {
		f()
	}
	if len(t.then) > 0 {
		t.look()
	}
}

// judge is asked after whatever changes what is known. Suspicion comes before
// the verdict, in the same turn if both times are over.
func (t *threadWatch) judge() {
	for range 2 {
		if t.over {
			return
		}
		t.v.onVerdicts(t.rules.Check(clock.Boot()))
	}
	for _, probe := range t.rules.Ask() {
		t.v.askAgain(probe)
	}
}

// Suspend and Resume are those of the rules.
func (t *threadWatch) Suspend() { t.rules.Suspend() }

// Resume judges again.
func (t *threadWatch) Resume(now time.Duration) []watchdog.Verdict { return t.rules.Resume(now) }

// List is for `vigil status`.
func (t *threadWatch) List(now time.Duration) []watchdog.Standing { return t.rules.List(now) }

// Marks is List without the texts.
func (t *threadWatch) Marks(now time.Duration, add func(watchdog.Standing)) { t.rules.Marks(now, add) }
