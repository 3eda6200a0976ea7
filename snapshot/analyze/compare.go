package analyze

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Compare holds two readings of stacks side by side: which stacks are on one
// side only, and, when both are of the same process, what each goroutine or
// thread did in between.
func Compare(a, b snapshot.Stacks) snapshot.Comparison {
	left, right := sideOf(a), sideOf(b)
	c := snapshot.Comparison{
		Noun: noun(b.Runtime), SameProcess: a.PID != 0 && a.PID == b.PID && a.Runtime == b.Runtime,
		Left: max(a.Unwound, left.count), Right: max(b.Unwound, right.count),
	}
	if !a.Taken.IsZero() && !b.Taken.IsZero() {
		c.Distance = snapshot.SecondsOf(b.Taken.Sub(a.Taken))
	}
	compareGroups(&c, left, right)
	if c.SameProcess {
		compareMembers(&c, left, right)
	}
	c.Sentence = motionSentence(c)
	bound(&c)
	return c
}

// noun is what a runtime's stacks are of.
func noun(runtime string) string {
	if runtime == "go" {
		return "goroutine"
	}
	return "thread"
}

// side is one reading, ready to be looked up.
type side struct {
	groups  []snapshot.Group
	threads map[int64]snapshot.Thread // by goroutine where there are such, else by TID
	count   int
}

func sideOf(s snapshot.Stacks) side {
	out := side{groups: s.Groups, threads: make(map[int64]snapshot.Thread, len(s.Threads))}
	if len(out.groups) == 0 {
		out.groups = groupsOfThreads(s.Threads)
	}
	for _, t := range s.Threads {
		switch {
		case t.Goroutine != 0:
			out.threads[t.Goroutine] = t
		case s.Runtime != "go":
			out.threads[int64(t.TID)] = t
		}
	}
	for _, g := range out.groups {
		out.count += g.Count
	}
	return out
}

// groupsOfThreads makes a group of each thread.
func groupsOfThreads(threads []snapshot.Thread) []snapshot.Group {
	out := make([]snapshot.Group, 0, len(threads))
	for _, t := range threads {
		status := map[string]string{"R": "running", "S": "waiting", "D": "waiting"}[t.State]
		id := int64(t.TID)
		out = append(out, snapshot.Group{Count: 1, Status: status, WaitReason: t.Wchan, IDs: []int64{id}, Sample: id, Frames: t.Frames,
			Members: []snapshot.Member{{ID: id, TID: t.TID, Name: t.Comm}}})
	}
	return out
}

// stack is what stands on both sides under one identity.
type stack struct {
	lines, functions string
	at               [2]int // group of each side, -1
	n                [2]int // members of each side
	otherLines       bool
}

// compareGroups matches stacks by functions and lines, then what is left by
// functions alone.
func compareGroups(c *snapshot.Comparison, left, right side) {
	var list []*stack
	known := map[string]*stack{}
	for s, groups := range [2][]snapshot.Group{left.groups, right.groups} {
		for i, g := range groups {
			key := stackLines(g.Frames)
			k := known[key]
			if k == nil {
				k = &stack{lines: key, functions: stackFunctions(g.Frames), at: [2]int{-1, -1}}
				known[key] = k
				list = append(list, k)
			}
			if k.at[s] < 0 {
				k.at[s] = i
			}
			k.n[s] += g.Count
		}
	}
	list = joinByFunctions(list)
	for _, k := range list {
		c.Groups = append(c.Groups, k.change(left, right))
	}
	slices.SortStableFunc(c.Groups, func(x, y snapshot.GroupChange) int {
		return cmp.Or(sideOrder(x.Side)-sideOrder(y.Side), abs(y.Right-y.Left)-abs(x.Right-x.Left), max(y.Left, y.Right)-max(x.Left, x.Right))
	})
}

// joinByFunctions joins a stack of the left only with one of the right only
// when each is the only one with its functions.
func joinByFunctions(list []*stack) []*stack {
	alone := [2]map[string][]*stack{{}, {}}
	for _, k := range list {
		switch {
		case k.functions == "":
		case k.at[1] < 0:
			alone[0][k.functions] = append(alone[0][k.functions], k)
		case k.at[0] < 0:
			alone[1][k.functions] = append(alone[1][k.functions], k)
		}
	}
	gone := map[*stack]bool{}
	for f, l := range alone[0] {
		if r := alone[1][f]; len(l) == 1 && len(r) == 1 {
			l[0].at[1], l[0].n[1], l[0].otherLines = r[0].at[1], r[0].n[1], true
			gone[r[0]] = true
		}
	}
	return slices.DeleteFunc(list, func(k *stack) bool { return gone[k] })
}

func (k *stack) change(left, right side) snapshot.GroupChange {
	out := snapshot.GroupChange{Side: snapshot.SideBoth, Left: k.n[0], Right: k.n[1], LeftGroup: k.at[0], RightGroup: k.at[1], OtherLines: k.otherLines}
	var g snapshot.Group
	switch {
	case k.at[0] < 0:
		out.Side, g = snapshot.SideRight, right.groups[k.at[1]]
	case k.at[1] < 0:
		out.Side, g = snapshot.SideLeft, left.groups[k.at[0]]
	default:
		g = right.groups[k.at[1]]
	}
	out.Where, out.Status, out.WaitReason = wherePlace(g.Frames), g.Status, g.WaitReason
	return out
}

func sideOrder(s string) int {
	return slices.Index([]string{snapshot.SideRight, snapshot.SideLeft, snapshot.SideBoth}, s)
}

func abs(n int) int { return max(n, -n) }

// member is one goroutine or thread of one side.
type member struct {
	id    int64
	group *snapshot.Group
	more  snapshot.Member
}

// members lists a side's members by id, and in their order.
func (s side) members() (byID map[int64]member, order []int64) {
	byID = make(map[int64]member, s.count)
	for i := range s.groups {
		g := &s.groups[i]
		for _, id := range g.IDs {
			if _, twice := byID[id]; !twice {
				order = append(order, id)
			}
			byID[id] = member{id: id, group: g}
		}
		for _, m := range g.Members {
			if in, ok := byID[m.ID]; ok && in.group == g {
				in.more = m
				byID[m.ID] = in
			}
		}
	}
	return byID, order
}

func compareMembers(c *snapshot.Comparison, left, right side) {
	before, was := left.members()
	after, is := right.members()
	same := newSameness()
	for _, id := range is {
		now := after[id]
		then, ok := before[id]
		if !ok {
			c.New++
			continue
		}
		c.Both++
		change := compareMember(same, then, now, left.threads, right.threads)
		tally(c, change)
	}
	for _, id := range was {
		if _, ok := after[id]; !ok {
			c.Gone++
		}
	}
	slices.SortStableFunc(c.Changes, func(x, y snapshot.Change) int {
		return cmp.Or(motionOrder(x)-motionOrder(y), cmp.Compare(y.CPU, x.CPU), cmp.Compare(x.ID, y.ID))
	})
}

// maxKept bounds the changes that are kept before they are sorted.
const maxKept = 1 << 16

// tally counts a change, and keeps it when it says something: most stand still.
func tally(c *snapshot.Comparison, change snapshot.Change) {
	switch change.Motion {
	case snapshot.MotionSpins:
		c.Spins++
	case snapshot.MotionMoves:
		c.Moves++
	default:
		c.Still++
		if change.State != "D" {
			return
		}
	}
	if len(c.Changes) < maxKept {
		c.Changes = append(c.Changes, change)
	} else {
		c.Cut++
	}
}

func motionOrder(c snapshot.Change) int {
	switch c.Motion {
	case snapshot.MotionStill:
		return 0
	case snapshot.MotionSpins:
		return 1
	}
	return 2
}

// sameness remembers whether two groups have the same stack: there are far
// fewer pairs of groups than members.
type sameness struct {
	key  map[*snapshot.Group]string
	pair map[[2]*snapshot.Group]bool
}

func newSameness() sameness {
	return sameness{map[*snapshot.Group]string{}, map[[2]*snapshot.Group]bool{}}
}

func (s sameness) stacks(a, b *snapshot.Group) bool {
	pair := [2]*snapshot.Group{a, b}
	same, known := s.pair[pair]
	if !known {
		same = s.of(a) == s.of(b)
		s.pair[pair] = same
	}
	return same
}

func (s sameness) of(g *snapshot.Group) string {
	key, known := s.key[g]
	if !known {
		key = stackLines(g.Frames)
		s.key[g] = key
	}
	return key
}

// compareMember judges one goroutine or thread. Processor time and context
// switches decide where they are known; else a running one that is in the same
// function on both sides spins, and a waiting one with the same stack stands
// still, unless it waits for a shorter time than before.
func compareMember(same sameness, then, now member, before, after map[int64]snapshot.Thread) snapshot.Change {
	from, to := wherePlace(then.group.Frames), wherePlace(now.group.Frames)
	out := snapshot.Change{ID: now.id, Name: now.more.Name, State: now.group.Status, From: &from, To: &to}
	ran, known := used(&out, then, now, before, after)
	equal := same.stacks(then.group, now.group)
	busy := runs(then.group.Status) && runs(now.group.Status)
	switch {
	case known && !ran && equal:
		out.Motion = snapshot.MotionStill
	case busy && from.Function == to.Function && (ran || !known):
		out.Motion = snapshot.MotionSpins
	case !equal, now.more.Waiting > 0 && now.more.Waiting < then.more.Waiting:
		out.Motion = snapshot.MotionMoves
	default:
		out.Motion = snapshot.MotionStill
	}
	return out
}

func runs(status string) bool { return status == "running" || status == "runnable" }

// used fills in what the thread of a member did. A goroutine that was on another
// thread before has nothing to compare.
func used(out *snapshot.Change, then, now member, before, after map[int64]snapshot.Thread) (ran, known bool) {
	a, ok := threadOf(then, before)
	b, also := threadOf(now, after)
	if !ok || !also || a.TID != b.TID {
		return false, false
	}
	if b.State != "" {
		out.State = b.State
	}
	if counters(a) == (counted{}) && counters(b) == (counted{}) {
		return false, false // a core has no such figures
	}
	out.CPU = b.UserTime + b.SystemTime - a.UserTime - a.SystemTime
	out.Switches = b.Voluntary + b.Involuntary - a.Voluntary - a.Involuntary
	return out.CPU > 0 || out.Switches > 0, true
}

type counted struct {
	cpu      snapshot.Seconds
	switches int64
}

func counters(t snapshot.Thread) counted {
	return counted{t.UserTime + t.SystemTime, t.Voluntary + t.Involuntary}
}

func threadOf(m member, threads map[int64]snapshot.Thread) (snapshot.Thread, bool) {
	if t, ok := threads[m.id]; ok {
		return t, true
	}
	if m.more.TID == 0 {
		return snapshot.Thread{}, false
	}
	t, ok := threads[int64(m.more.TID)]
	return t, ok
}

// CompareProcess holds two readings of /proc side by side, thread by thread. A
// thread whose context switches and processor time are the same did not move;
// one that used processor time, never slept of its own will and runs now spins.
func CompareProcess(a, b snapshot.Process) snapshot.Comparison {
	c := snapshot.Comparison{Noun: "thread", SameProcess: a.PID != 0 && a.PID == b.PID && a.StartTicks == b.StartTicks,
		Left: len(a.Threads), Right: len(b.Threads)}
	if !a.Taken.IsZero() && !b.Taken.IsZero() {
		c.Distance = snapshot.SecondsOf(b.Taken.Sub(a.Taken))
	}
	if c.SameProcess {
		compareThreads(&c, a.Threads, b.Threads)
	}
	c.Sentence = motionSentence(c)
	bound(&c)
	return c
}

func compareThreads(c *snapshot.Comparison, before, after []snapshot.Thread) {
	was := make(map[int]snapshot.Thread, len(before))
	for _, t := range before {
		was[t.TID] = t
	}
	for _, t := range after {
		then, ok := was[t.TID]
		if !ok {
			c.New++
			continue
		}
		delete(was, t.TID)
		c.Both++
		tally(c, compareThread(then, t))
	}
	c.Gone = len(was)
	slices.SortStableFunc(c.Changes, func(x, y snapshot.Change) int {
		return cmp.Or(motionOrder(x)-motionOrder(y), cmp.Compare(y.CPU, x.CPU), cmp.Compare(x.ID, y.ID))
	})
}

func compareThread(then, now snapshot.Thread) snapshot.Change {
	to := wherePlace(now.Frames)
	if to.Function == "" && now.State != "R" && now.Wchan != "0" {
		to.Function = now.Wchan
	}
	out := snapshot.Change{ID: int64(now.TID), Name: now.Comm, State: now.State, Motion: snapshot.MotionMoves, To: &to,
		CPU:      now.UserTime + now.SystemTime - then.UserTime - then.SystemTime,
		Switches: now.Voluntary + now.Involuntary - then.Voluntary - then.Involuntary}
	switch {
	case out.CPU <= 0 && out.Switches == 0:
		out.Motion = snapshot.MotionStill
	case out.CPU > 0 && now.Voluntary == then.Voluntary && now.State == "R":
		out.Motion = snapshot.MotionSpins
	}
	return out
}

// bound cuts the lists.
func bound(c *snapshot.Comparison) {
	c.Cut += max(0, len(c.Groups)-snapshot.MaxChanges) + max(0, len(c.Changes)-snapshot.MaxChanges)
	c.Groups = c.Groups[:min(len(c.Groups), snapshot.MaxChanges)]
	c.Changes = c.Changes[:min(len(c.Changes), snapshot.MaxChanges)]
}

// motionSentence: "412 of 420 goroutines did not move in 1.0 s; 3 spin in main.hot".
func motionSentence(c snapshot.Comparison) string {
	if !c.SameProcess || c.Both == 0 {
		return groupsSentence(c)
	}
	text := fmt.Sprintf("%s of %s did not move", number(c.Still), count(c.Both, c.Noun))
	if c.Distance > 0 {
		text += fmt.Sprintf(" in %.1f s", float64(c.Distance))
	}
	if c.Spins > 0 {
		text += fmt.Sprintf("; %s %s%s", number(c.Spins), verb(c.Spins, "spins", "spin"), inWhere(c))
	}
	for _, part := range []struct {
		n    int
		word string
	}{{c.Moves, verb(c.Moves, "moves", "move")}, {stoppedInKernel(c), verb(stoppedInKernel(c), "is", "are") + " stopped inside the kernel (state D)"},
		{c.New, verb(c.New, "is", "are") + " new"}, {c.Gone, verb(c.Gone, "is", "are") + " gone"}} {
		if part.n > 0 {
			text += fmt.Sprintf("; %s %s", number(part.n), part.word)
		}
	}
	return text
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func stoppedInKernel(c snapshot.Comparison) int {
	n := 0
	for _, ch := range c.Changes {
		if ch.Motion == snapshot.MotionStill && ch.State == "D" {
			n++
		}
	}
	return n
}

// inWhere names the function in which most spin.
func inWhere(c snapshot.Comparison) string {
	in := map[string]int{}
	best := ""
	for _, ch := range c.Changes {
		if ch.Motion == snapshot.MotionSpins && ch.To != nil && ch.To.Function != "" {
			f := ch.To.Function
			in[f]++
			if best == "" || in[f] > in[best] {
				best = f
			}
		}
	}
	switch len(in) {
	case 0:
		return ""
	case 1:
		return " in " + best
	}
	return fmt.Sprintf(" (%s of them in %s)", number(in[best]), best)
}

// groupsSentence is of two processes: only their stacks can be compared.
func groupsSentence(c snapshot.Comparison) string {
	sides := map[string]int{}
	for _, g := range c.Groups {
		sides[g.Side]++
	}
	return fmt.Sprintf("%s on both sides, %s only in the first, %s only in the second; %s then, %s now",
		count(sides[snapshot.SideBoth], "group"), number(sides[snapshot.SideLeft]), number(sides[snapshot.SideRight]),
		count(c.Left, c.Noun), number(c.Right))
}
