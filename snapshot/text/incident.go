// Package text writes incidents for people at a terminal. It is pure: it reads
// the model, writes to an io.Writer and does nothing else. Text that came from
// the target is made harmless for the terminal first.
package text

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Document is all that is shown of an incident. What is absent is nil. It has
// the fields of store.Full, so that one converts to the other.
type Document struct {
	Incident snapshot.Incident
	Stacks   *snapshot.Stacks
	Process  *snapshot.Process
	Timeline []snapshot.Moment
	Output   []byte
	Problems []string
}

// How much is shown without Options.All.
const (
	maxMoments = 60
	maxOutput  = 30
)

// Incident writes an incident: its sentence, the facts, deadlocks, stacks, what
// happened before, the last output, what is missing, the limits of such a
// reading and what it all cost. The
// error is that of w.
func Incident(w io.Writer, doc Document, opts Options) error {
	p := newPage(w, opts)
	sentence := doc.Incident.Sentence
	if sentence == "" {
		sentence = "No sentence was recorded for this incident."
	}
	p.prose(0, bold, "%s", sentence)
	p.card(doc.Incident.Card, sentence)
	p.raw(0, plain, "")
	p.facts(doc)
	p.stacks(doc.Stacks)
	p.threads(doc)
	p.timeline(doc.Incident, doc.Timeline)
	p.output(doc.Output)
	p.missing(doc)
	p.limits(doc.Stacks)
	p.collectors(doc.Incident.Ran)
	return p.close()
}

func (p *page) facts(doc Document) {
	i := doc.Incident
	p.fact("Incident", "%s, %s", i.ID, i.Status)
	p.fact("Cause", "%s", orUnknown(string(i.Cause)))
	p.fact("Service", "%s, instance %d, pid %d", i.Service, i.Instance, i.PID)
	life := ""
	if i.Uptime > 0 {
		life = ", after " + span(i.Uptime.Duration())
	}
	p.fact("Time", "%s%s", i.Time.UTC().Format("2006-01-02 15:04:05.000 UTC"), life)
	if i.Host != "" {
		p.fact("Host", "%s", i.Host)
	}
	if i.Program != nil {
		p.fact("Program", "%s", program(*i.Program))
	}
	if len(i.Command) > 0 {
		p.fact("Command", "%s", strings.Join(i.Command, " "))
	}
	p.exit(i.Exit)
	p.freeze(i.Freeze)
	if doc.Process != nil {
		p.process(*doc.Process)
	}
	if i.Fingerprint != "" {
		p.fact("Fingerprint", "%s", i.Fingerprint)
	}
	p.fact("Size", "%s in %s", size(i.Bytes), plural(len(i.Files), "file"))
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func program(g snapshot.Program) string {
	words := []string{g.Path + " (" + orUnknown(g.Runtime) + ")"}
	for _, s := range []string{g.GoVersion, g.Module} {
		if s != "" {
			words = append(words, s)
		}
	}
	if g.Revision != "" {
		words = append(words, "revision "+g.Revision)
	}
	if g.BuildID != "" {
		words = append(words, "build "+g.BuildID)
	}
	if g.Optimised {
		words = append(words, "optimised")
	}
	if g.Stripped {
		words = append(words, "stripped")
	}
	return strings.Join(words, ", ")
}

func (p *page) exit(e *snapshot.Exit) {
	if e == nil {
		p.fact("Exit", "it was still alive")
		return
	}
	cores := ""
	if e.CoreDumped {
		cores = ", core dumped"
	}
	cost := "user " + span(e.UserTime.Duration()) + ", system " + span(e.SystemTime.Duration()) + ", at most " + size(e.MaxRSS) + " resident"
	if e.Signal != "" {
		p.fact("Exit", "by signal %s%s; %s", e.Signal, cores, cost)
		return
	}
	p.fact("Exit", "with status %d; %s", e.Code, cost)
}

func (p *page) freeze(f *snapshot.Freeze) {
	if f == nil || f.Method == "none" {
		p.fact("Freeze", "nothing was frozen")
		return
	}
	p.fact("Freeze", "%s: paused %s of at most %s, %s, %s copied", f.Method, span(f.Pause.Duration()),
		span(f.Budget.Duration()), plural(f.Threads, "thread"), size(f.Bytes))
}

func (p *page) process(g snapshot.Process) {
	p.fact("Process", "%s, state %s, uid %d, %s resident, %s, %s", g.Comm, orUnknown(g.State), g.UID,
		size(g.RSS), plural(g.ThreadCount, "thread"), plural(g.FDCount, "descriptor"))
	for _, denied := range g.Denied {
		p.fact("", "not readable: %s", denied)
	}
}

// timeline writes what happened, relative to the verdict.
func (p *page) timeline(i snapshot.Incident, moments []snapshot.Moment) {
	if len(moments) == 0 {
		return
	}
	p.heading("Before it")
	first := len(moments) - p.bound(len(moments), maxMoments)
	p.dropped(2, first, "earlier moment")
	distance := fromVerdict(i, moments)
	for _, m := range moments[first:] {
		how := plain
		if m.Kind == "verdict" || m.Kind == "dropped" {
			how = yellow
		}
		p.short(2, how, "t=%-10s %-8s %s", offset(distance(m)), m.Kind, m.Text)
	}
}

// fromVerdict measures by CLOCK_BOOTTIME when the verdict is among the moments:
// the wall clock can have been set in between.
func fromVerdict(i snapshot.Incident, moments []snapshot.Moment) func(snapshot.Moment) time.Duration {
	for n := len(moments) - 1; n >= 0; n-- {
		if moments[n].Kind == "verdict" {
			zero := moments[n].Boot
			return func(m snapshot.Moment) time.Duration { return m.Boot - zero }
		}
	}
	return func(m snapshot.Moment) time.Duration { return m.Time.Sub(i.Time) }
}

// offset writes a signed distance: "-2.1s", "0s", "+35ms".
func offset(d time.Duration) string {
	if d > 0 {
		return "+" + span(d)
	}
	return span(d)
}

func (p *page) output(data []byte) {
	data = bytes.TrimRight(data, "\n")
	if len(data) == 0 {
		return
	}
	lines := bytes.Split(data, []byte("\n"))
	p.heading("Last output")
	first := len(lines) - p.bound(len(lines), maxOutput)
	p.dropped(2, first, "earlier line")
	for _, line := range lines[first:] {
		p.short(2, plain, "%s", bytes.TrimSuffix(line, []byte("\r")))
	}
}

func (p *page) missing(doc Document) {
	var all []string
	all = append(append(all, doc.Incident.Missing...), doc.Problems...)
	if len(all) == 0 {
		return
	}
	p.heading("What is missing")
	for _, sentence := range all {
		p.prose(2, yellow, "%s", sentence)
	}
}

// limits writes what no reading of stacks can know, and what is guessed.
func (p *page) limits(s *snapshot.Stacks) {
	if s == nil || len(s.Notes) == 0 {
		return
	}
	p.heading("How to read this")
	for _, sentence := range s.Notes {
		p.prose(2, plain, "%s", sentence)
	}
}

func (p *page) collectors(ran []snapshot.Ran) {
	if len(ran) == 0 {
		return
	}
	p.heading("Collectors")
	for _, r := range ran {
		text := ""
		if r.Bytes > 0 {
			text = size(r.Bytes)
		}
		if r.Reason != "" {
			text += "  " + r.Reason
		}
		p.short(2, plain, "%-10s %-8s %9s  %s", r.Name, r.Result, span(r.Cost.Duration()), strings.TrimSpace(text))
	}
}
