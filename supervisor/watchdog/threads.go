package watchdog

import (
	"fmt"
	"slices"
	"time"

	"github.com/vigil-supervisor/vigil/internal/proctask"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// MaxThreadRules is how many rules one instance may have.
const MaxThreadRules = 64

// ErrTooManyRules says that there are more than MaxThreadRules.
var ErrTooManyRules = fmt.Errorf("watchdog: more than %d rules about threads", MaxThreadRules)

// ThreadRules judges the threads of one instance of a program that need not know
// of it, from scans of /proc/PID/task. It is told what scans saw (ObserveScan),
// what probes ask and whether they are answered (Demand, Answered, Withdrawn),
// and the role that the service reports (Role); each may change what Check says.
//
// What counts as progress is that a thread was given a processor. So a verdict
// of a rule with While needs a demand that is unanswered, sent after the last
// movement that was seen: a scan right before a demand makes that exact, without
// it the judgement is only slower. Of several rules with the same probe the first
// one in trouble is the suspect, for they stand in the order in which work passes
// through the threads; the others are listed in its text.
//
// It is owned by one goroutine, but for the Match of Want. All times are
// CLOCK_BOOTTIME and must not go backwards.
type ThreadRules struct {
	rules  []*rule
	before map[int]seenTask // by tid
	scans  uint64
	seenAt time.Duration // the last good scan
	pace   pace
	match  func(comm string) bool
	moves  []uint64        // reused
	found  []proctask.Task // reused

	role      string
	roleAt    time.Duration
	reported  bool
	asked     map[string]time.Duration // by probe: its question that is under way
	lastAsked map[string]time.Duration // by probe: its last question
	suspended bool
	due       bool  // Check has more to say at once
	failed    error // of the last scan
}

// seenTask is a thread as the last scan saw it.
type seenTask struct {
	task proctask.Task
	scan uint64
}

// NewThreadRules begins to judge at now. The rules stand in the order of the
// pipeline. The first scan is due at once.
func NewThreadRules(rules []ThreadRule, now time.Duration) (*ThreadRules, error) {
	if len(rules) > MaxThreadRules {
		return nil, ErrTooManyRules
	}
	t := &ThreadRules{before: map[int]seenTask{}, asked: map[string]time.Duration{}, lastAsked: map[string]time.Duration{}}
	for i, from := range rules {
		r, err := newRule(from)
		if err != nil {
			return nil, fmt.Errorf("cannot judge threads %q: %w", from.Name, err)
		}
		r.number, r.from = i+1, now
		if len(r.Roles) > 0 {
			r.blocked = "no role is reported yet"
		}
		t.rules = append(t.rules, r)
	}
	t.pace, t.seenAt, t.match = newPace(t.rules, now), now, matchOf(t.rules)
	return t, nil
}

func matchOf(rules []*rule) func(string) bool {
	var patterns []proctask.Pattern
	for _, r := range rules {
		patterns = append(patterns, r.name, r.unless)
	}
	return func(comm string) bool {
		return slices.ContainsFunc(patterns, func(p proctask.Pattern) bool { return p.Match(comm) })
	}
}

// Want says which threads the next scan is to tell of. Its Match may be used by
// any goroutine and outlives t.
func (t *ThreadRules) Want() proctask.Want {
	any := func(is func(*rule) bool) bool { return slices.ContainsFunc(t.rules, is) }
	return proctask.Want{
		Match: t.match,
		// One that is missing may have another number, and taken its name late.
		All:   any(func(r *rule) bool { return !r.Progress && r.trouble }),
		Calm:  !t.near(),
		Still: !any(func(r *rule) bool { return r.Progress }),
	}
}

// Next returns when to scan next, and to call Check; ok is false when there is
// nothing to judge. A time in the past means: at once.
func (t *ThreadRules) Next() (at time.Duration, ok bool) {
	if len(t.rules) == 0 || t.suspended {
		return 0, false
	}
	if t.due {
		return t.pace.last, true
	}
	at = t.pace.next
	for _, r := range t.rules {
		if !r.trouble {
			continue
		}
		for _, limit := range []time.Duration{r.since + r.suspect(), r.since + r.Within} {
			if limit > t.pace.last {
				at = min(at, limit)
			}
		}
	}
	return at, true
}

// ObserveScan takes what a scan of the main process saw; now is when it began.
// The tasks are not kept.
func (t *ThreadRules) ObserveScan(now time.Duration, s proctask.Scan) {
	t.scans++
	t.seenAt, t.failed = now, nil
	ended := t.compare(s)
	for _, r := range t.rules {
		l := look{unsure: s.Left > 0, tasks: t.found[:0]}
		exception := false
		for i, task := range s.Tasks {
			if r.name.Match(task.Comm) {
				l.tasks = append(l.tasks, task)
				l.moves += t.moves[i]
			}
			exception = exception || r.unless.Match(task.Comm)
		}
		t.found = l.tasks
		l.moved = l.moves > 0 || slices.ContainsFunc(ended, func(task proctask.Task) bool { return r.name.Match(task.Comm) })
		if t.suspended {
			r.count = len(l.tasks)
			continue
		}
		r.block(now, t.blocked(r, exception))
		r.observe(now, l, t.rules)
	}
	t.pace.scanned(now, s.Took, t.near())
}

// compare returns the threads that have ended since the last scan, and notes how
// often each of this scan has been given a processor since; a new one: once.
func (t *ThreadRules) compare(s proctask.Scan) (ended []proctask.Task) {
	t.moves = t.moves[:0]
	for _, task := range s.Tasks {
		before, ok := t.before[task.TID]
		n := uint64(0)
		switch {
		case !ok || !task.Same(before.task):
			n = 1
		case task.Moved(before.task):
			n = max(task.Switches-before.task.Switches, 1)
		}
		t.moves = append(t.moves, n)
		if ok && !task.Same(before.task) {
			ended = append(ended, before.task)
		}
		t.before[task.TID] = seenTask{task, t.scans}
	}
	for tid, before := range t.before {
		if before.scan != t.scans {
			ended = append(ended, before.task)
			delete(t.before, tid)
		}
	}
	return ended
}

// ScanFailed notes that a scan failed for another reason than the end of the
// process. It says nothing about the threads.
func (t *ThreadRules) ScanFailed(now time.Duration, err error) {
	t.failed = err
	t.pace.scanned(now, t.pace.cost, true)
}

// blocked says why a rule does not hold; empty: it does.
func (t *ThreadRules) blocked(r *rule, exception bool) string {
	switch {
	case len(r.Roles) > 0 && !t.reported:
		return "no role is reported yet"
	case len(r.Roles) > 0 && t.role == "":
		return "the service has no role"
	case len(r.Roles) > 0 && !slices.Contains(r.Roles, t.role):
		return "the role is " + t.role
	case exception:
		return "there is a thread of `" + r.Unless + "`"
	}
	return ""
}

// Role takes the role that the service reports at now; empty: it reports that it
// has none. When nothing is heard there is nothing to call.
func (t *ThreadRules) Role(now time.Duration, role string) {
	t.role, t.roleAt, t.reported = role, now, true
	for _, r := range t.rules {
		if len(r.Roles) == 0 {
			continue
		}
		if why := t.blocked(r, false); why != "" || r.blocked != "" && r.unless.String() == "" {
			r.block(now, why)
		}
	}
}

// Demand takes that a probe has sent its question at now.
func (t *ThreadRules) Demand(now time.Duration, probe string) {
	if t.suspended || probe == "" {
		return
	}
	t.asked[probe], t.lastAsked[probe] = now, now
	for _, r := range t.rules {
		if r.blocked != "" || r.count == 0 {
			continue
		}
		switch probe {
		case r.While:
			r.begin(now, t.rules)
		case r.After:
			r.asked = true
		}
	}
}

// Answered takes that a probe is done at now. Without a good answer (ok is false)
// the demand stays: the work is still owed.
func (t *ThreadRules) Answered(now time.Duration, probe string, ok bool) {
	delete(t.asked, probe)
	for _, r := range t.rules {
		switch {
		case probe == "":
		case probe == r.While && ok:
			r.end(fmt.Sprintf("probe `%s` was answered", probe))
		case probe == r.After && ok && r.asked:
			r.begin(now, t.rules)
		case probe == r.After && !r.trouble:
			r.asked = false
		}
	}
}

// Withdrawn takes that a probe is done and that its question never got into the
// service, as when the connection is refused: nothing is owed for it.
func (t *ThreadRules) Withdrawn(probe string) {
	at, ok := t.asked[probe]
	delete(t.asked, probe)
	for _, r := range t.rules {
		switch {
		case probe == r.While && ok && r.trouble && r.since == at:
			r.end("")
		case probe == r.After && !r.trouble:
			r.asked = false
		}
	}
}

// Ask names the probes that should ask again at once: a rule with While became
// suspect since their last question. When a thread hangs over a piece of work it
// has been woken by it, and what stands still is the next one; a second question
// tells them apart.
func (t *ThreadRules) Ask() []string {
	var all []string
	for _, r := range t.rules {
		_, under := t.asked[r.While]
		if r.While != "" && r.state == Suspect && !under && t.lastAsked[r.While] < r.changed && !slices.Contains(all, r.While) {
			all = append(all, r.While)
		}
	}
	return all
}

// Suspend stops judging: the process is frozen, stopped by an operator, traced,
// or being captured. Capturing moves threads, which must not count.
func (t *ThreadRules) Suspend() { t.suspended = true }

// Resume judges again, with whole limits from now on. Suspicions are withdrawn,
// and verdicts that the owner did not carry out, and demands are forgotten.
func (t *ThreadRules) Resume(now time.Duration) []Verdict {
	t.suspended = false
	clear(t.asked)
	var all []Verdict
	for _, r := range t.rules {
		r.trouble, r.asked, r.good = false, false, ""
		r.from = now
		if r.state > Healthy {
			all = append(all, t.become(r, Healthy, now, "judged again from now on"))
		}
	}
	t.due = false
	return all
}

// Check judges at now by what was observed so far, and returns the changes. As
// with a Sign suspicion always comes first; Next then says that there is more.
func (t *ThreadRules) Check(now time.Duration) []Verdict {
	t.due = false
	if t.suspended {
		return nil
	}
	var all []Verdict
	for i, r := range t.rules {
		level := r.level(t.seenAt, t.roleAt)
		switch {
		case level > r.state && !t.behind(i, level):
			to := r.state + 1
			all = append(all, t.become(r, to, now, t.describe(i)))
			t.due = t.due || level > to
		case r.state > Healthy && level == Healthy && r.good != "":
			all = append(all, t.become(r, Healthy, now, r.good))
		}
		r.good = ""
	}
	return all
}

// behind says that another rule about the same demands speaks for this one: work
// stands still before it comes to this rule's threads, or as much was said already.
func (t *ThreadRules) behind(i int, level State) bool {
	for j, o := range t.rules {
		if j != i && o.rival(t.rules[i]) && (o.state >= level || j < i && o.level(t.seenAt, t.roleAt) >= level) {
			return true
		}
	}
	return false
}

func (t *ThreadRules) become(r *rule, to State, now time.Duration, text string) Verdict {
	v := Verdict{Sign: r.sign(), From: r.state, To: to, At: now, Text: text, Cause: t.cause(r)}
	r.state, r.changed = to, now
	return v
}

// Evidence returns what speaks against the service now: the gravest state of a
// rule, suspect or confirmed, in words. It is the local evidence that a failed
// probe needs whose failure may be the fault of others.
func (t *ThreadRules) Evidence() (v Verdict, ok bool) {
	for i, r := range t.rules {
		if r.state > v.To {
			v = Verdict{Sign: r.sign(), From: r.state, To: r.state, At: t.seenAt, Text: t.describe(i), Cause: t.cause(r)}
		}
	}
	return v, v.To > Healthy
}

// near says that a rule is in trouble: the next looks are closer.
func (t *ThreadRules) near() bool {
	return slices.ContainsFunc(t.rules, func(r *rule) bool { return r.trouble || r.state > Healthy })
}

// cause is what the trouble of a rule leads to.
func (t *ThreadRules) cause(r *rule) snapshot.Cause {
	if r.Progress && t.missing(r) == nil {
		return snapshot.CauseThreadStuck
	}
	return snapshot.CauseThreadLost
}

// missing returns the first rule whose threads are gone, though perhaps not for
// long enough to be judged alone: that explains why others do nothing while a
// probe waits.
func (t *ThreadRules) missing(r *rule) *rule {
	if r.While == "" {
		return nil
	}
	for _, o := range t.rules {
		if !o.Progress && o.trouble && o.blocked == "" && t.seenAt > o.since {
			return o
		}
	}
	return nil
}

func (r *rule) sign() string { return fmt.Sprintf("thread %d (%s)", r.number, r.Name) }
