package watchdog

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vigil-supervisor/vigil/internal/proctask"
)

// ThreadRule says what is expected of some threads of the main process.
type ThreadRule struct {
	Name    string        // which: a proctask.Pattern
	Unless  string        // the rule does not hold while there is such a thread; empty: it always may
	Roles   []string      // it holds only while the service reports one of these; none: always
	Minimum int           // how many must exist; with Progress it is 1
	Within  time.Duration // how long they may be missing or stand still; positive

	// Progress: one of them must be given a processor within the time. Otherwise
	// Minimum of them must exist, once that many have been seen.
	Progress bool
	// While demands progress only while the probe of this name has sent something
	// and has no answer: for a thread that sleeps when there is nothing to do.
	While string
	// After demands progress for each good answer of the probe of this name, at
	// some time after its question: for a thread whose work is needed and not
	// waited for. With While or After, Progress must be set; not both.
	After string
}

// rule is a ThreadRule with all that is known of its threads. Whether it is in
// trouble is noted by the feeds; Check makes verdicts of that.
type rule struct {
	ThreadRule
	number       int // its place, from 1
	name, unless proctask.Pattern

	blocked string // why it does not hold, in words; empty: it does
	armed   bool   // its threads have been seen
	count   int    // of them, at the last scan
	last    []proctask.Task
	lastAt  time.Duration // they were last enough, or last moved
	from    time.Duration // judged since then: whole limits count from here
	moves   uint64        // times that they were given a processor, ever since

	trouble bool          // they are too few, or owe a move
	since   time.Duration // the trouble began
	then    []uint64      // moves of all rules when it began
	asked   bool          // After: the question that is under way, or whose answer is owed a move
	good    string        // what ended the trouble, since the last Check
	state   State
	changed time.Duration // the state did
}

// maxShown is how many threads a verdict names.
const maxShown = 4

func newRule(from ThreadRule) (*rule, error) {
	r := &rule{ThreadRule: from}
	r.Minimum = max(r.Minimum, 1)
	r.Roles = slices.Clone(r.Roles)
	switch {
	case r.Within <= 0:
		return nil, errors.New("within is not positive")
	case (r.While != "" || r.After != "") && !r.Progress:
		return nil, errors.New("while and after go with progress")
	case r.While != "" && r.After != "":
		return nil, errors.New("while and after exclude each other")
	case r.Progress && r.Minimum != 1:
		return nil, errors.New("a minimum goes with presence")
	}
	var err1, err2 error
	r.name, err1 = proctask.ParsePattern(r.Name)
	if r.Unless != "" {
		r.unless, err2 = proctask.ParsePattern(r.Unless)
	}
	return r, errors.Join(err1, err2)
}

// suspect is the time after which a rule in trouble is suspect.
func (r *rule) suspect() time.Duration { return r.Within * 6 / 10 }

// always says that its threads must move without being asked to.
func (r *rule) always() bool { return r.Progress && r.While == "" && r.After == "" }

// rival says that a rule is about the same demands, so that only the first of
// those in trouble is the suspect.
func (r *rule) rival(o *rule) bool {
	return r.While != "" && r.While == o.While || r.After != "" && r.After == o.After
}

// begin notes trouble, unless there is some.
func (r *rule) begin(now time.Duration, all []*rule) {
	if r.trouble {
		return
	}
	r.trouble, r.since = true, now
	r.then = r.then[:0]
	for _, o := range all {
		r.then = append(r.then, o.moves)
	}
}

// end notes that trouble is over, for a reason that is a good sign. An empty
// reason means that it is forgotten, which is none.
func (r *rule) end(why string) {
	if r.state > Healthy && why != "" {
		r.good = why
	}
	r.trouble = false
}

// block says why the rule does not hold; an empty reason: it does from now on.
func (r *rule) block(now time.Duration, why string) {
	if r.blocked != "" && why == "" {
		r.from = now
	}
	if r.blocked = why; why != "" {
		r.end(fmt.Sprintf("`%s` is not judged: %s", r.Name, why))
		r.asked = false
	}
}

// look is what one scan says of a rule's threads.
type look struct {
	tasks  []proctask.Task
	moves  uint64
	moved  bool // one of them, or one that has ended since
	unsure bool // there are threads that the scan left out
}

// observe takes a scan.
func (r *rule) observe(now time.Duration, l look, all []*rule) {
	r.count = len(l.tasks)
	r.moves += l.moves
	if r.Progress {
		r.observeProgress(now, l, all)
	} else {
		r.observePresence(now, l, all)
	}
}

func (r *rule) observePresence(now time.Duration, l look, all []*rule) {
	switch {
	case r.count >= r.Minimum:
		if r.trouble {
			r.end(fmt.Sprintf("`%s` is there again after %s", r.Name, round(now-r.since)))
		}
		r.armed, r.lastAt = true, now
		r.show(l.tasks)
	case r.blocked != "" || l.unsure || !r.armed:
		r.trouble = false
	default:
		r.begin(now, all)
	}
}

func (r *rule) observeProgress(now time.Duration, l look, all []*rule) {
	switch {
	case r.count == 0:
		r.end(fmt.Sprintf("`%s` is not judged: there is no such thread", r.Name))
		r.armed, r.asked = false, false
		return
	case !r.armed || l.moved:
		if r.trouble {
			r.end(fmt.Sprintf("`%s` moved after %s", r.Name, round(now-r.since)))
		}
		r.armed, r.asked, r.lastAt = true, false, now
	case r.always() && r.blocked == "":
		r.begin(max(r.lastAt, r.from), all)
	}
	r.show(l.tasks)
}

func (r *rule) show(tasks []proctask.Task) {
	r.last = append(r.last[:0], tasks[:min(len(tasks), maxShown)]...)
}

// level is what the trouble has grown to at the time of a scan. A rule with
// roles needs a report that is newer than the trouble: the role may have gone
// together with the thread.
func (r *rule) level(scan, role time.Duration) State {
	if !r.trouble || r.blocked != "" || len(r.Roles) > 0 && role <= r.since {
		return Healthy
	}
	switch age := scan - r.since; {
	case age >= r.Within:
		return Confirmed
	case age >= r.suspect():
		return Suspect
	}
	return Healthy
}
