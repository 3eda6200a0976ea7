package text

import (
	"fmt"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// How much of stacks is shown without Options.All.
const (
	maxGroups    = 20
	maxFrames    = 32
	maxIDs       = 8
	maxVariables = 16
	maxCycle     = 16
)

// stacks writes deadlocks and goroutines.
func (p *page) stacks(s *snapshot.Stacks) {
	if s == nil {
		return
	}
	p.call(s)
	for _, c := range s.Deadlocks {
		p.deadlock(c, s.Waits)
	}
	if len(s.Groups) == 0 {
		return
	}
	read := ""
	if s.Unwound < s.Total {
		read = fmt.Sprintf(", %s of them read", count(s.Unwound))
	}
	p.heading("%s in %s%s", plural(s.Total, p.noun), plural(len(s.Groups), "group"), read)
	shown, groups, goroutines := 0, 0, 0
	idleGroups, idle := 0, 0
	for _, g := range s.Groups {
		switch {
		case !p.opts.All && analyze.Idle(g) != "":
			idleGroups++
			idle += g.Count
		case shown == maxGroups && !p.opts.All:
			groups++
			goroutines += g.Count
		default:
			shown++
			p.group(g)
		}
	}
	if groups > 0 {
		p.line(2, faint, "... %s more with %s (--all shows them)", plural(groups, "group"), plural(goroutines, p.noun))
	}
	if idleGroups > 0 {
		p.line(2, faint, "... %s idle or of the runtime, in %s (--all shows them)", plural(idle, p.noun), plural(idleGroups, "group"))
	}
}

// call decides how members are called: goroutines by number, threads by their
// names where they have some.
func (p *page) call(s *snapshot.Stacks) {
	p.noun, p.names = "goroutine", map[int64]string{}
	if s.Runtime == "go" || s.Runtime == "" {
		return
	}
	p.noun = "thread"
	for _, g := range s.Groups {
		for _, m := range g.Members {
			if m.Name != "" {
				p.names[m.ID] = m.Name
			}
		}
	}
}

func (p *page) who(id int64) string {
	if name, ok := p.names[id]; ok {
		return fmt.Sprintf("%s %q", p.noun, name)
	}
	return fmt.Sprintf("%s %d", p.noun, id)
}

func (p *page) group(g snapshot.Group) {
	p.raw(0, plain, "")
	state := g.Status
	if g.WaitReason != "" {
		state += ": " + g.WaitReason
	}
	if f, ok := analyze.OwnFrame(g.Frames); ok {
		state += " in " + short(f.Place)
	}
	p.line(2, cyan, "%s %s  %s", plural(g.Count, p.noun), state, p.ids(g))
	if len(g.Labels) > 0 {
		p.short(4, faint, "labels %s", strings.Join(g.Labels, " "))
	}
	p.frames(g.Frames)
	if g.Cut {
		p.line(4, faint, "... more frames than were read")
	}
	if g.CreatedBy != nil {
		p.line(4, plain, "created by %s", where(*g.CreatedBy))
	}
}

// ids lists goroutines, and which of them the variables are of.
func (p *page) ids(g snapshot.Group) string {
	n := p.bound(len(g.IDs), maxIDs)
	var words []string
	for _, id := range g.IDs[:n] {
		if name, ok := p.names[id]; ok {
			words = append(words, name)
			continue
		}
		words = append(words, fmt.Sprint(id))
	}
	if more := g.Count - n; more > 0 && n > 0 {
		words = append(words, fmt.Sprintf("and %s more", count(more)))
	}
	text := "[" + strings.Join(words, " ") + "]"
	if g.Count > 1 && hasVariables(g.Frames) {
		text += fmt.Sprintf(", variables of %d", g.Sample)
	}
	return text
}

func hasVariables(frames []snapshot.Frame) bool {
	for _, f := range frames {
		if len(f.Arguments)+len(f.Locals) > 0 {
			return true
		}
	}
	return false
}

func where(place snapshot.Place) string {
	if place.File == "" {
		return place.Function
	}
	return fmt.Sprintf("%s %s:%d", place.Function, place.File, place.Line)
}

func (p *page) frames(frames []snapshot.Frame) {
	n := p.bound(len(frames), maxFrames)
	for _, f := range frames[:n] {
		name := f.Function
		if name == "" {
			name = fmt.Sprintf("%#x", f.PC)
		}
		if f.Inlined {
			name += " (inlined)"
		}
		p.line(4, plain, "%s", name)
		if f.File != "" {
			p.line(8, faint, "%s:%d", f.File, f.Line)
		}
		p.variables("argument", f.Arguments)
		p.variables("local", f.Locals)
	}
	p.dropped(4, len(frames)-n, "frame")
}

// variables writes those that have a value, and sums up the others.
func (p *page) variables(kind string, vars []snapshot.Variable) {
	var reasons []string // in the order in which they come
	unreadable := make(map[string][]string)
	shown, hidden := 0, 0
	for _, v := range vars {
		switch {
		case v.Masked:
			v.Value = "(masked: its name looks secret)"
		case v.Error != "":
			if unreadable[v.Error] == nil {
				reasons = append(reasons, v.Error)
			}
			unreadable[v.Error] = append(unreadable[v.Error], v.Name)
			continue
		}
		if shown == maxVariables && !p.opts.All {
			hidden++
			continue
		}
		shown++
		p.short(10, plain, "%s %s = %s", v.Name, v.Type, v.Value)
	}
	p.dropped(10, hidden, kind)
	for _, reason := range reasons {
		names := unreadable[reason]
		p.short(10, faint, "%s not readable (%s): %s", plural(len(names), kind), reason, strings.Join(names, ", "))
	}
}

// deadlock writes a cycle with what each goroutine of it waits for.
func (p *page) deadlock(c snapshot.Cycle, waits []snapshot.Wait) {
	certainty := "certain"
	if !c.Certain {
		certainty = "inferred"
	}
	behind := ""
	if c.Behind > 0 {
		behind = fmt.Sprintf(", %s more behind", count(c.Behind))
	}
	p.heading("Deadlock of %s (%s)%s", plural(len(c.Members), p.noun), certainty, behind)
	n := p.bound(len(c.Members), maxCycle)
	for i, id := range c.Members[:n] {
		next := c.Members[(i+1)%len(c.Members)]
		p.line(2, red, "%s waits for %s", p.who(id), p.waitsFor(id, next, waits))
	}
	p.dropped(2, len(c.Members)-n, p.noun)
}

func (p *page) waitsFor(id, next int64, waits []snapshot.Wait) string {
	for _, w := range waits {
		if w.Waiter != id || w.Holder != next {
			continue
		}
		text := fmt.Sprintf("%s: %s at %#x", p.who(next), w.Kind, w.Address)
		if w.Place != nil {
			text += " in " + where(*w.Place)
		}
		return text
	}
	return p.who(next)
}
