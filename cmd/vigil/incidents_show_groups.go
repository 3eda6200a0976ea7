package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// How much of grouped stacks is written without --all.
const (
	maxShownGroups = 20
	maxShownFrames = 32
)

// byThread is what the command calls api.ByName; of a thread the name is meant.
const byThread = "thread"

// groupings are what stacks can be grouped by: the words of the browser.
func groupings() []string {
	list := api.Groupings()
	list[slices.Index(list, api.ByName)] = byThread
	return list
}

// showGroups writes the stacks of an incident as the browser groups them.
func (a *app) showGroups(full store.Full, by string, json, all bool) error {
	i := &full.Incident
	if full.Stacks == nil {
		if r, ok := i.RemovedFile(snapshot.FileStacks); ok {
			return nothingf("incident %s has no stacks any more: %s", i.ID, strings.TrimSuffix(r.Sentence(), "."))
		}
		return nothingf("incident %s has no stacks", i.ID)
	}
	q := view.Query{By: by, Limit: api.MaxGroups, Idle: all}
	if by == byThread {
		q.By = api.ByName
	}
	if !json && !all {
		q.Limit = maxShownGroups
	}
	s := view.Stacks(full.Stacks, q, view.Context{Card: i.Card})
	if !slices.Contains(s.Groupings, s.By) {
		a.note("no %s of this incident has a %s", s.Noun, by)
	}
	if json {
		return a.printJSON(s)
	}
	t := groupText{noun: s.Noun, by: by, all: all, paint: a.paint, width: width(a.out)}
	t.write(&s)
	_, err := io.WriteString(a.out, t.b.String())
	return err
}

// groupText writes groups for people.
type groupText struct {
	b     strings.Builder
	noun  string
	by    string
	all   bool
	width int
	paint func(sgr, s string) string
}

func (t *groupText) write(s *api.Stacks) {
	shown := s.Matching
	if !t.all {
		shown -= s.Idle
	}
	t.line(0, "1", "%s in %s by %s", t.count(shown), plural(s.Count, "group"), t.by)
	for n := range s.Groups {
		t.group(&s.Groups[n])
	}
	if rest := s.Count - len(s.Groups); rest > 0 {
		t.line(2, "2", "... %s more (--all shows them)", plural(rest, "group"))
	}
	if s.Idle > 0 && !t.all {
		t.line(2, "2", "... %s idle or of the runtime (--all shows them)", t.count(s.Idle))
	}
}

func (t *groupText) group(g *api.Group) {
	t.b.WriteString("\n")
	t.line(2, "36", "%s  %s", t.count(g.Count), g.Label)
	t.line(4, "", "%s", state(g))
	for _, r := range g.Reasons {
		t.line(4, "31", "%s", r)
	}
	if t.by == byThread || t.by == api.ByLabel {
		t.members(g)
	}
	frames, most := g.Frames, maxShownFrames
	if t.by != api.ByStack && !t.all { // they are those of the largest stack in it
		most = 0
	}
	for n, f := range frames {
		if n == most && !t.all {
			break
		}
		t.line(6, "", "%s", framePlace(f))
	}
	if t.by == api.ByStack && len(frames) > most && !t.all {
		t.line(6, "2", "... %s more (--all shows them)", plural(len(frames)-most, "frame"))
	}
	if g.CreatedBy != nil && (t.by == api.ByStack || len(g.Indices) == 1) && t.by != api.ByCreator {
		t.line(6, "2", "created by %s", placeText(g.CreatedBy))
	}
}

func (t *groupText) members(g *api.Group) {
	var words []string
	for _, m := range g.Members {
		if m.Name != "" {
			words = append(words, m.Name)
		} else {
			words = append(words, fmt.Sprint(m.ID))
		}
	}
	if more := g.Count - len(words); more > 0 && len(words) > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	if len(words) > 0 {
		t.line(4, "2", "[%s]", strings.Join(words, " "))
	}
}

// line writes one line of text that came from a program, cut at the width.
func (t *groupText) line(indent int, sgr, format string, args ...any) {
	room := 0
	if t.width > 0 {
		room = max(20, t.width-indent)
	}
	t.b.WriteString(strings.Repeat(" ", indent) + t.paint(sgr, cut(harmlessCell(fmt.Sprintf(format, args...)), room)) + "\n")
}

func (t *groupText) count(n int) string { return plural(n, t.noun) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// state is what the members of a group do, and for how long.
func state(g *api.Group) string {
	const several = "several" // the browser's word for what differs
	text := g.Status
	switch {
	case g.Status == several:
		text = "several states"
	case g.WaitReason == several:
		text += " for several reasons"
	case g.WaitReason != "":
		text += ": " + g.WaitReason
	}
	switch least, most := span(g.WaitMin.Duration()), span(g.WaitMax.Duration()); {
	case g.WaitMax <= 0:
	case g.WaitMin > 0 && least != most:
		text += fmt.Sprintf(", %s to %s", least, most)
	default:
		text += ", " + most
	}
	return text
}

func framePlace(f api.Frame) string {
	text := placeText(&f.Place)
	if f.Inlined {
		text += " (inlined)"
	}
	return text
}
