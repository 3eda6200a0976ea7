package watchdog

import (
	"fmt"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/harmless"
	"github.com/vigil-supervisor/vigil/internal/proctask"
)

// describe is the proof against the threads of a rule in trouble. Where work
// passes through the threads of several rules, it names the first that stand
// still, though they may have moved for the first of the demands: a thread that
// hangs over a piece of work has been woken by it.
func (t *ThreadRules) describe(i int) string {
	r := t.rules[i]
	if !r.Progress {
		return r.describeLost(t.seenAt, t.before)
	}
	if gone := t.missing(r); gone != nil {
		return fmt.Sprintf("%s; probe `%s` waits for %s (limit %s)", gone.describeLost(t.seenAt, t.before), r.While, round(t.seenAt-r.since), r.Within)
	}
	first := r
	for _, o := range t.rules[:i] {
		if o.rival(r) && o.trouble && o.blocked == "" && t.seenAt > o.since {
			first = o
			break
		}
	}
	text := fmt.Sprintf("no thread of `%s` (%s) has moved for %s", first.Name, threads(first.last, first.count, true), round(t.seenAt-first.lastAt))
	switch {
	case r.While != "":
		text += fmt.Sprintf(", while probe `%s` waits for %s (limit %s)", r.While, round(t.seenAt-r.since), r.Within)
	case r.After != "":
		text += fmt.Sprintf(", though probe `%s` was answered %s ago (limit %s)", r.After, round(t.seenAt-r.since), r.Within)
	default:
		text += fmt.Sprintf(" (limit %s)", r.Within)
	}
	return text + t.others(r, first)
}

func (r *rule) describeLost(now time.Duration, alive map[int]seenTask) string {
	var gone []proctask.Task
	for _, task := range r.last {
		if s, ok := alive[task.TID]; !ok || !s.task.Same(task) || !r.name.Match(s.task.Comm) {
			gone = append(gone, task)
		}
	}
	ago := round(now - r.lastAt)
	if r.count == 0 {
		return fmt.Sprintf("thread `%s` is gone: last seen as %s %s ago (limit %s)", r.Name, threads(gone, len(gone), false), ago, r.Within)
	}
	text := fmt.Sprintf("only %d of %d threads of `%s` left for %s (limit %s)", r.count, r.Minimum, r.Name, ago, r.Within)
	if len(gone) > 0 {
		text += "; gone: " + threads(gone, len(gone), false)
	}
	return text
}

// threads lists threads, of which there are n.
func threads(list []proctask.Task, n int, states bool) string {
	var parts []string
	for _, task := range list {
		comm := harmless.Text(task.Comm, nil)
		if states {
			parts = append(parts, fmt.Sprintf("tid %d, comm `%s`, state %c", task.TID, comm, task.State))
		} else {
			parts = append(parts, fmt.Sprintf("tid %d (comm `%s`)", task.TID, comm))
		}
	}
	text := strings.Join(parts, "; ")
	if more := n - len(list); more > 0 {
		text += fmt.Sprintf("; %d more", more)
	}
	return text
}

// others tells of the other threads: which moved since the trouble of a rule
// began, and which of the same pipeline stand still too.
func (t *ThreadRules) others(r, first *rule) string {
	var moved, still []string
	for j, o := range t.rules {
		if o == first || !o.Progress || o.always() || o.count == 0 || o.blocked != "" {
			continue
		}
		switch n := o.moves - r.then[j]; {
		case o == r || r.rival(o) && o.trouble:
			still = append(still, "`"+o.Name+"`")
		case n > 0:
			moved = append(moved, fmt.Sprintf("`%s` moved %s", o.Name, times(n)))
		}
	}
	text := ""
	if len(moved) > 0 {
		text += "; " + strings.Join(moved, ", ")
	}
	if len(still) > 0 {
		text += "; also still: " + strings.Join(still, ", ")
	}
	return text
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// List says how the rules stand, in their order.
func (t *ThreadRules) List(now time.Duration) []Standing {
	all := make([]Standing, 0, len(t.rules))
	for _, r := range t.rules {
		st := t.mark(r, now)
		st.Text = r.standing()
		all = append(all, st)
	}
	if n := len(all); n > 0 {
		all[n-1].Text += "; " + t.pace.String()
		if t.failed != nil {
			all[n-1].Text += "; the last one failed: " + t.failed.Error()
		}
	}
	return all
}

// age is how long the trouble lasts, or since when the threads were last seen or moved.
func (r *rule) age(now time.Duration) time.Duration {
	switch {
	case r.trouble:
		return max(now-r.since, 0)
	case r.armed && (!r.Progress || r.always()):
		return max(now-r.lastAt, 0)
	}
	return 0
}

func (r *rule) standing() string {
	var text string
	switch {
	case !r.armed && r.Minimum > 1:
		text = fmt.Sprintf("%d of %d seen so far", r.count, r.Minimum)
	case !r.armed:
		text = "not seen yet"
	case r.count == 1:
		text = "1 thread"
	default:
		text = fmt.Sprintf("%d threads", r.count)
	}
	if r.Progress && r.armed {
		text += ", moved " + times(r.moves)
	}
	switch {
	case r.blocked != "":
		text += "; not judged: " + r.blocked
	case r.trouble && r.While != "":
		text += fmt.Sprintf("; probe `%s` waits", r.While)
	case r.trouble && r.After != "":
		text += fmt.Sprintf("; owes a move to probe `%s`", r.After)
	}
	return text
}
