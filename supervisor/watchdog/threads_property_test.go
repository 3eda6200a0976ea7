package watchdog

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/internal/proctask"
)

// truth is what really happens to the threads of a threadsRig, and what may be
// said of it at the most.
type truth struct {
	*threadsRig
	t         *rapid.T
	within    time.Duration
	wrong     map[string]time.Duration // by thread: since when something is wrong; absent: nothing is
	states    map[string]State         // as they were told
	role      string
	roleAt    time.Duration
	asked     time.Duration // the question under way; -1: none
	pending   time.Duration // the oldest one that is owed an answer; -1: none
	suspended bool
}

// One rule for each thread that is called as it is judged.
func truthRules(within time.Duration) []ThreadRule {
	return []ThreadRule{
		{Name: "lost", Within: within},
		{Name: "lead", Within: within, Roles: []string{"leader"}},
		{Name: "other", Within: within, Unless: "exception"},
		{Name: "always", Progress: true, Within: within},
		{Name: "first", Progress: true, While: "probe", Within: within},
		{Name: "second", Progress: true, While: "probe", Within: within},
		{Name: "after", Progress: true, After: "probe", Within: within},
	}
}

func (w *truth) exists(name string) bool {
	return slices.ContainsFunc(w.tasks, func(task proctask.Task) bool { return task.Comm == name })
}

func (w *truth) goesWrong(name string) {
	if _, ok := w.wrong[name]; !ok {
		w.wrong[name] = w.now
	}
}

func (w *truth) isRight(name string) { delete(w.wrong, name) }

// happen lets one thing happen.
func (w *truth) happen(action, name, role string) {
	switch action {
	case "begin":
		if !w.exists(name) {
			w.begin(name)
			w.isRight(name)
		}
	case "end":
		if !w.exists(name) {
			break
		}
		w.end(name)
		w.isRight(name)
		if name == "lost" || name == "lead" || name == "other" {
			w.goesWrong(name)
		}
		if name == "exception" && !w.exists("other") { // its rule holds from here
			w.wrong["other"] = w.now
		}
	case "move":
		if w.exists(name) {
			w.move(name)
			w.isRight(name)
		}
	case "ask":
		w.judge() // the baseline
		w.rules.Demand(w.now, "probe")
		w.asked = w.now
		if w.pending < 0 && !w.suspended {
			w.pending = w.now
		}
	case "answer":
		w.rules.Answered(w.now, "probe", true)
		if w.asked >= 0 {
			w.goesWrong("after")
		}
		w.asked, w.pending = -1, -1
	case "fail":
		w.rules.Answered(w.now, "probe", false)
		w.asked = -1
	case "withdraw":
		w.rules.Withdrawn("probe")
		if w.pending == w.asked {
			w.pending = -1
		}
		w.asked = -1
	case "role":
		if role == "leader" && w.role != "leader" {
			w.wrong["lead"] = w.now
		}
		w.role, w.roleAt = role, w.now
		w.rules.Role(w.now, role)
	case "suspend":
		w.suspended = true
		w.rules.Suspend()
	case "resume":
		w.suspended, w.asked, w.pending = false, -1, -1
		for name := range w.wrong {
			w.wrong[name] = w.now
		}
		w.told(w.rules.Resume(w.now))
	}
	for _, name := range []string{"always", "first", "second"} {
		w.goesWrong(name)
	}
}

func (w *truth) judge() { w.told(w.scan(0)) }

// told takes verdicts: each is one step from the state before, and if it is a bad
// one, it is deserved.
func (w *truth) told(all []Verdict) {
	for _, v := range all {
		_, name, _ := strings.Cut(v.Sign, "(")
		name = strings.TrimSuffix(name, ")")
		if v.From != w.states[name] || v.To > v.From+1 || v.To == v.From || v.Text == "" || v.Cause == "" {
			w.t.Fatalf("%s was %s: %+v", name, w.states[name], v)
		}
		w.states[name] = v.To
		if v.To > Healthy && !w.deserved(name, v.To) {
			w.t.Fatalf("at %s %s: wrong since %v, pending since %v, role %q of %v, suspended %v: %+v",
				w.now, name, w.wrong[name], w.pending, w.role, w.roleAt, w.suspended, v)
		}
	}
}

func (w *truth) deserved(name string, to State) bool {
	need := w.within
	if to == Suspect {
		need = w.within * 6 / 10
	}
	since, wrong := w.wrong[name]
	if !wrong || w.suspended || w.now-since < need {
		return false
	}
	switch name {
	case "lead":
		return w.role == "leader" && w.roleAt > since
	case "other":
		return !w.exists("exception")
	case "first", "second":
		return w.exists(name) && w.pending >= 0 && w.now-w.pending >= need
	case "always", "after":
		return w.exists(name)
	}
	return true
}

// Whatever happens: nothing is suspect or confirmed before it was wrong for the
// whole time, by what happened to the threads and not by what scans saw of it;
// nothing is said of a rule that does not hold or is suspended; every change is
// told, one step at a time; and the next scan is never far.
func TestThreadRulesProperties(t *testing.T) {
	actions := []string{"begin", "end", "move", "scan", "scan", "scan", "ask", "answer", "fail", "withdraw", "role", "suspend", "resume", "resume"}
	names := []string{"lost", "lead", "other", "always", "first", "second", "after", "exception"}
	said := map[State]int{}
	rapid.Check(t, func(t *rapid.T) {
		within := time.Duration(rapid.Int64Range(1, 10).Draw(t, "within")) * s
		w := &truth{threadsRig: judge(t, truthRules(within)...), t: t, within: within, wrong: map[string]time.Duration{}, states: map[string]State{}, asked: -1, pending: -1}
		for _, name := range names[:7] {
			w.begin(name)
		}
		for range rapid.IntRange(10, 80).Draw(t, "steps") {
			w.now += time.Duration(rapid.Int64Range(0, 3000).Draw(t, "dt")) * ms
			w.happen(rapid.SampledFrom(actions).Draw(t, "action"), rapid.SampledFrom(names).Draw(t, "thread"), rapid.SampledFrom([]string{"leader", "leader", "follower", ""}).Draw(t, "role"))
			w.judge()
			if at, ok := w.rules.Next(); ok == w.suspended || ok && at > w.now+4*s {
				t.Fatalf("the next scan is at %v, %v, now it is %v", at, ok, w.now)
			}
			for _, r := range w.rules.rules {
				if r.state != w.states[r.Name] {
					t.Fatalf("%s became %s and nobody was told", r.Name, r.state)
				}
			}
		}
		for _, state := range w.states {
			said[state]++
		}
	})
	if said[Suspect] == 0 || said[Confirmed] == 0 {
		t.Errorf("the walks came to nothing: %v", said)
	}
}
