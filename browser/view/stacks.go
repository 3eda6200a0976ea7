package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Bounds of one answer.
const (
	defaultGroups = 100
	fewMembers    = 20
	maxIndices    = 100
	maxLabels     = 50
)

// Query chooses what of the stacks is shown.
type Query struct {
	By            string // one of api.Groupings, "" for the whole stack
	Text          string // in functions, files, labels, names, states; case ignored
	Offset, Limit int
	Idle          bool // also what is set aside
}

// Context is what a view knows beyond the stacks.
type Context struct {
	Normal func(key string) bool         // marked as normal for this service; nil: nothing is
	Link   func(p snapshot.Place) string // to a source; nil: none
	Card   *snapshot.Card                // whose facts name groups
}

// Stacks groups and chooses.
func Stacks(s *snapshot.Stacks, q Query, c Context) api.Stacks {
	out := api.Stacks{Noun: Noun(s), By: q.By, Groups: []api.Group{}, Notes: []string{}, Groupings: []string{}}
	if out.By == "" {
		out.By = api.ByStack
	}
	if s == nil {
		return out
	}
	out.Runtime, out.Total, out.Unwound, out.Crash = s.Runtime, s.Total, s.Unwound, s.Crash
	out.Notes, out.Optimised, out.Groupings = none(s.Notes), s.Optimised, groupings(s)
	marks := marksOf(s, c)
	var all []api.Group
	if out.By == api.ByName || out.By == api.ByLabel {
		all = byMember(s, out.By, q, marks, c)
	} else {
		all = byGroup(s, out.By, q, marks, c)
	}
	kept := all[:0]
	for _, g := range all {
		out.Matching += g.Count
		if g.Idle != "" || g.System {
			out.Idle += g.Count
			if !q.Idle {
				continue
			}
		}
		kept = append(kept, g)
	}
	out.Count = len(kept)
	limit := q.Limit
	if limit <= 0 {
		limit = defaultGroups
	}
	from := min(max(q.Offset, 0), len(kept))
	out.Groups = none(kept[from:min(from+min(limit, api.MaxGroups), len(kept))])
	for i := range out.Groups {
		fill(&out.Groups[i], s, c)
	}
	return out
}

// groupings are the ways to group that tell more than one group.
func groupings(s *snapshot.Stacks) []string {
	list := []string{api.ByStack, api.ByTop, api.ByState}
	var creator, label, name bool
	for i := range s.Groups {
		g := &s.Groups[i]
		creator = creator || g.CreatedBy != nil
		label = label || len(g.Labels) > 0
		for _, m := range g.Members[:min(len(g.Members), 64)] {
			name = name || m.Name != ""
			label = label || len(m.Labels) > 0
		}
	}
	for by, has := range map[string]bool{api.ByCreator: creator, api.ByLabel: label, api.ByName: name} {
		if has {
			list = append(list, by)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		return slices.Index(api.Groupings(), a) - slices.Index(api.Groupings(), b)
	})
	return list
}

// marks are what makes a group suspicious.
type marks struct {
	deadlock map[int64]bool // members of a cycle
	holder   map[int64]int  // how many wait for it directly
	named    map[int]bool   // groups that the card names
}

func marksOf(s *snapshot.Stacks, c Context) marks {
	m := marks{deadlock: map[int64]bool{}, holder: map[int64]int{}, named: map[int]bool{}}
	for _, cycle := range s.Deadlocks {
		for _, id := range cycle.Members {
			m.deadlock[id] = true
		}
	}
	for _, w := range s.Waits {
		if w.Holder != 0 && !w.Any {
			m.holder[w.Holder]++
		}
	}
	if c.Card != nil {
		for _, f := range c.Card.Evidence {
			var n int
			if _, err := fmt.Sscanf(f.Where, "stacks.json: group %d", &n); err == nil {
				m.named[n-1] = true // the card counts from 1
			}
		}
	}
	return m
}

// heaped sorts a group into one of the heaps, and says why.
func heaped(out *api.Group, g *snapshot.Group, index int, m marks, c Context) {
	add := func(format string, args ...any) { out.Reasons = append(out.Reasons, fmt.Sprintf(format, args...)) }
	out.Reasons = []string{}
	if g.Crashed {
		add("it crashed here")
	}
	waiters := 0
	for _, id := range g.IDs {
		if m.deadlock[id] {
			out.Deadlock = true
		}
		waiters += m.holder[id]
	}
	if out.Deadlock {
		add("part of a deadlock")
	}
	if m.named[index] {
		add("the verdict names it")
	}
	if waiters > 1 {
		add("%d wait for it", waiters)
	}
	switch {
	case len(out.Reasons) > 0:
		out.Heap = api.HeapSuspicious
	case c.Normal != nil && c.Normal(out.Key):
		out.Heap = api.HeapNormal
		add("marked as normal for this service")
	case out.Idle != "":
		out.Heap = api.HeapNormal
		add("%s", out.Idle)
	default:
		out.Heap = api.HeapLook
	}
}

// one makes the group of one group of stacks.json, without frames and members.
func one(s *snapshot.Stacks, index int, m marks, c Context) api.Group {
	g := &s.Groups[index]
	out := api.Group{
		Index: index, Indices: []int{index}, Key: Key(g), Count: max(g.Count, 0), Status: g.Status, WaitReason: g.WaitReason,
		WaitMin: g.WaitMin, WaitMax: g.WaitMax, CreatedBy: g.CreatedBy, Start: g.Start, Labels: g.Labels,
		Idle: analyze.Idle(*g), System: g.System, Crashed: g.Crashed,
	}
	heaped(&out, g, index, m, c)
	return out
}

// fill adds what only a shown group needs.
func fill(out *api.Group, s *snapshot.Stacks, c Context) {
	g := &s.Groups[out.Index]
	out.Frames, out.Cut = frames(g.Frames, api.MaxFrames, c.Link)
	out.Cut = out.Cut || g.Cut
	for _, f := range g.Frames {
		out.Variables = out.Variables || len(f.Arguments)+len(f.Locals) > 0
	}
	if out.Members == nil {
		out.Members = members(g, fewMembers)
	}
}

// members lists some of a group: those of which more is known first.
func members(g *snapshot.Group, limit int) []api.Member {
	list := make([]api.Member, 0, min(max(g.Count, 0), limit))
	seen := map[int64]bool{}
	for _, m := range g.Members {
		if len(list) == limit {
			return list
		}
		seen[m.ID] = true
		list = append(list, api.Member{ID: m.ID, TID: m.TID, Name: m.Name, Waiting: m.Waiting})
	}
	for _, id := range g.IDs {
		if len(list) == limit {
			break
		}
		if !seen[id] {
			list = append(list, api.Member{ID: id})
		}
	}
	return list
}

// byGroup merges whole groups by what their stack says.
func byGroup(s *snapshot.Stacks, by string, q Query, m marks, c Context) []api.Group {
	find := finder(q.Text)
	at := map[string]int{}
	var list []api.Group
	for i := range s.Groups {
		g := &s.Groups[i]
		if !find.group(g) {
			continue
		}
		fresh := one(s, i, m, c)
		if by == api.ByStack {
			fresh.Label = top(g)
			list = append(list, fresh)
			continue
		}
		label := labelOf(g, by)
		n, ok := at[label]
		if !ok {
			fresh.Label = label
			at[label] = len(list)
			list = append(list, fresh)
			continue
		}
		merge(&list[n], fresh, s)
	}
	if by != api.ByStack {
		sortGroups(list)
	}
	return list
}

func labelOf(g *snapshot.Group, by string) string {
	switch by {
	case api.ByTop:
		return top(g)
	case api.ByCreator:
		if g.CreatedBy == nil {
			return "(not known)"
		}
		return place(*g.CreatedBy)
	case api.ByState:
		if g.WaitReason != "" {
			return g.Status + ": " + g.WaitReason
		}
		return g.Status
	}
	return ""
}

// top is the innermost frame of the program's own code, or else the innermost.
func top(g *snapshot.Group) string {
	if f, ok := analyze.OwnFrame(g.Frames); ok {
		return place(f.Place)
	}
	if len(g.Frames) > 0 {
		return place(g.Frames[0].Place)
	}
	return "(no frames)"
}

func place(p snapshot.Place) string {
	if p.File == "" {
		return p.Function
	}
	return fmt.Sprintf("%s %s:%d", p.Function, p.File[strings.LastIndexByte(p.File, '/')+1:], p.Line)
}

// merge adds one group to another; the largest of stacks.json stands for both.
func merge(into *api.Group, g api.Group, s *snapshot.Stacks) {
	if len(into.Indices) < maxIndices {
		into.Indices = append(into.Indices, g.Index)
	}
	if s.Groups[g.Index].Count > s.Groups[into.Index].Count {
		into.Index, into.Key, into.CreatedBy, into.Start, into.Labels = g.Index, g.Key, g.CreatedBy, g.Start, g.Labels
	}
	into.Count += g.Count
	into.Status, into.WaitReason = same(into.Status, g.Status), same(into.WaitReason, g.WaitReason)
	into.WaitMin = least(into.WaitMin, g.WaitMin)
	into.WaitMax = max(into.WaitMax, g.WaitMax)
	into.Crashed, into.Deadlock = into.Crashed || g.Crashed, into.Deadlock || g.Deadlock
	if g.Idle == "" {
		into.Idle = ""
	}
	into.System = into.System && g.System
	into.Heap = worse(into.Heap, g.Heap)
	for _, r := range g.Reasons {
		if !slices.Contains(into.Reasons, r) && len(into.Reasons) < 10 {
			into.Reasons = append(into.Reasons, r)
		}
	}
}

func same(a, b string) string {
	if a == b {
		return a
	}
	return "several"
}

// least ignores 0, which is "not known".
func least(a, b snapshot.Seconds) snapshot.Seconds {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

func worse(a, b string) string {
	for _, h := range []string{api.HeapSuspicious, api.HeapLook} {
		if a == h || b == h {
			return h
		}
	}
	return api.HeapNormal
}

func sortGroups(list []api.Group) {
	slices.SortStableFunc(list, func(a, b api.Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Label, b.Label))
	})
}

// byMember groups by the names or labels of members, which can differ within a
// group of stacks.json.
func byMember(s *snapshot.Stacks, by string, q Query, m marks, c Context) []api.Group {
	find := finder(q.Text)
	at := map[string]int{}
	var list []api.Group
	add := func(label string, part api.Group) {
		n, ok := at[label]
		if !ok {
			part.Label = label
			at[label] = len(list)
			list = append(list, part)
			return
		}
		had := list[n].Members
		merge(&list[n], part, s)
		list[n].Members = append(had, part.Members...)[:min(len(had)+len(part.Members), fewMembers)]
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		if !find.group(g) {
			continue
		}
		whole := one(s, i, m, c)
		counted := 0
		parts := map[string][]api.Member{}
		counts := map[string]int{}
		for _, member := range g.Members {
			for _, label := range memberLabels(&member, by) {
				if counts[label]++; len(parts[label]) < fewMembers {
					parts[label] = append(parts[label], api.Member{ID: member.ID, TID: member.TID, Name: member.Name, Waiting: member.Waiting})
				}
			}
			counted++
		}
		if rest := g.Count - counted; rest > 0 {
			label := "(none)"
			if by == api.ByLabel && len(g.Labels) > 0 && len(g.Members) == 0 {
				label = strings.Join(g.Labels[:min(len(g.Labels), maxLabels)], " ")
			}
			counts[label] += rest
		}
		labels := make([]string, 0, len(counts))
		for label := range counts {
			labels = append(labels, label)
		}
		slices.Sort(labels)
		for _, label := range labels {
			part := whole
			part.Reasons, part.Indices = slices.Clone(whole.Reasons), slices.Clone(whole.Indices)
			part.Count, part.Members = counts[label], none(parts[label])
			add(label, part)
		}
	}
	sortGroups(list)
	return list
}

func memberLabels(m *snapshot.Member, by string) []string {
	if by == api.ByName {
		if m.Name == "" {
			return []string{"(none)"}
		}
		return []string{strings.TrimRight(m.Name, "0123456789-#:. ")}
	}
	if len(m.Labels) == 0 {
		return []string{"(none)"}
	}
	return m.Labels[:min(len(m.Labels), maxLabels)]
}

// finder looks for a text in all that a group shows.
type finder string

func (f finder) group(g *snapshot.Group) bool {
	if f == "" {
		return true
	}
	if f.in(g.Status, g.WaitReason, g.Idle) || f.in(g.Labels...) {
		return true
	}
	for i := range g.Frames {
		if f.in(g.Frames[i].Function, g.Frames[i].File) {
			return true
		}
	}
	if g.CreatedBy != nil && f.in(g.CreatedBy.Function) {
		return true
	}
	for i := range g.Members {
		if f.in(g.Members[i].Name) || f.in(g.Members[i].Labels...) {
			return true
		}
	}
	return false
}

func (f finder) in(texts ...string) bool {
	want := strings.ToLower(string(f))
	for _, t := range texts {
		if strings.Contains(strings.ToLower(t), want) {
			return true
		}
	}
	return false
}

// Matches says whether a text stands anywhere in stacks.
func Matches(s *snapshot.Stacks, text string) bool {
	find := finder(text)
	for i := range s.Groups {
		if find.group(&s.Groups[i]) {
			return true
		}
	}
	return false
}

// Detail is one group with all that is known of it; false: there is none.
func Detail(s *snapshot.Stacks, p *snapshot.Process, index int, c Context) (api.GroupDetail, bool) {
	if s == nil || index < 0 || index >= len(s.Groups) {
		return api.GroupDetail{}, false
	}
	g := &s.Groups[index]
	out := api.GroupDetail{Group: one(s, index, marksOf(s, c), c), Sample: g.Sample, Optimised: s.Optimised, Detailed: []api.DetailFrame{}}
	out.Label = top(g)
	fill(&out.Group, s, c)
	out.Everyone = members(g, api.MaxMembers)
	for _, f := range g.Frames {
		out.Detailed = append(out.Detailed, api.DetailFrame{Frame: frame(f, c.Link), PC: fmt.Sprintf("%#x", f.PC), Arguments: f.Arguments, Locals: f.Locals})
	}
	out.Thread = threadOf(s, p, g)
	out.Waits = edgesAt(s, g)
	return out, true
}

// threadOf is the kernel's view of the thread that the sample is, or runs on.
func threadOf(s *snapshot.Stacks, p *snapshot.Process, g *snapshot.Group) *snapshot.Thread {
	tid := 0
	for _, m := range g.Members {
		if m.ID == g.Sample {
			tid = m.TID
		}
	}
	if tid == 0 && Noun(s) == "thread" {
		tid = int(g.Sample)
	}
	lists := [][]snapshot.Thread{s.Threads}
	if p != nil {
		lists = append(lists, p.Threads)
	}
	for _, list := range lists {
		for i := range list {
			if t := &list[i]; (tid != 0 && t.TID == tid) || (t.Goroutine != 0 && t.Goroutine == g.Sample) {
				return t
			}
		}
	}
	return nil
}
