package native

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// stacks draws a reading and what /proc showed together.
func (t *target) stacks(r *reading, runtime string) *snapshot.Stacks {
	out := &snapshot.Stacks{
		Schema: snapshot.SchemaVersion, PID: t.pid, Runtime: orElse(runtime, Runtime), Source: r.source,
		Taken: r.taken.UTC(), Total: max(t.count, len(r.threads)), Notes: r.notes,
	}
	var groups grouping
	for _, th := range r.threads {
		if len(th.frames) == 0 {
			continue
		}
		out.Unwound++
		t.modules.nameFrames(th.frames)
		k, known := t.task(th.tid)
		m := snapshot.Member{ID: int64(th.tid), TID: th.tid, Name: orElse(k.name, th.name)}
		g := snapshot.Group{Status: status(k.state), Frames: th.frames, Cut: th.cut, Crashed: th.crashed, Start: startOf(th.frames)}
		if !known || k.state != 'R' {
			g.WaitReason = waitReason(th.frames, k.wchan)
		}
		if g.Status == "" && g.WaitReason != "" {
			g.Status = "waiting"
		}
		g.Idle = idle(th.frames, g.WaitReason)
		groups.add(g, m)
		if w, ok := t.owner(k, th.frames, g.WaitReason); ok {
			out.Waits = append(out.Waits, w)
		}
	}
	out.Groups = groups.ranked()
	out.Deadlocks = analyze.Cycles(out.Waits)
	if r.source == SourceEUStack && t.pid != 0 {
		out.Notes = append(out.Notes, "eu-stack reads one thread after the other: the others run meanwhile")
	}
	if t.stopped {
		out.Notes = append(out.Notes, "the process had been stopped by a signal (state T) before: its threads stand where that met them")
	}
	if r.partial != "" {
		out.Notes = append(out.Notes, fmt.Sprintf("%s did not end well (%s): threads can be missing", r.source, r.partial))
	}
	return out
}

// status says a state of proc_pid_stat(5) in the words of the model.
func status(state byte) string {
	switch state {
	case 'R':
		return "running"
	case 'S', 'I':
		return "waiting"
	case 'D':
		return "uninterruptible"
	case 'T':
		return "stopped"
	case 't':
		return "traced"
	case 'Z', 'X':
		return "dead"
	}
	return ""
}

// grouping puts threads with equal stacks together.
type grouping struct {
	groups []snapshot.Group
	byKey  map[string]int
}

func (g *grouping) add(one snapshot.Group, m snapshot.Member) {
	key := groupKey(one)
	i, ok := g.byKey[key]
	if !ok {
		if g.byKey == nil {
			g.byKey = map[string]int{}
		}
		i = len(g.groups)
		g.byKey[key] = i
		one.Sample = m.ID
		g.groups = append(g.groups, one)
	}
	to := &g.groups[i]
	to.Count++
	if len(to.IDs) < snapshot.MaxIDs {
		to.IDs = append(to.IDs, m.ID)
		to.Members = append(to.Members, m)
	}
}

func groupKey(g snapshot.Group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%s|%s|%t|%t", g.Status, g.WaitReason, g.Idle, g.Crashed, g.Cut)
	for _, f := range g.Frames {
		fmt.Fprintf(&b, "|%x %s", f.PC, f.Function)
	}
	return b.String()
}

// ranked orders the groups for reading: what crashed, what waits for a lock, what
// runs or waits otherwise, what is idle; larger groups first.
func (g *grouping) ranked() []snapshot.Group {
	slices.SortStableFunc(g.groups, func(a, b snapshot.Group) int {
		if d := groupRank(a) - groupRank(b); d != 0 {
			return d
		}
		return b.Count - a.Count
	})
	return g.groups
}

func groupRank(g snapshot.Group) int {
	switch {
	case g.Crashed:
		return 0
	case g.WaitReason == reasonMutex || strings.HasPrefix(g.WaitReason, "rwlock"):
		return 1
	case g.Idle != "":
		return 3
	}
	return 2
}
