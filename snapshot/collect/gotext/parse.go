package gotext

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Bounds of a traceback, which is output of a program that is not well.
const (
	maxGoroutines = 1 << 17
	maxFrames     = 256 // the runtime prints 100 at most, the first and the last ones
	maxLine       = 4096
	maxMessage    = 500
)

// Parse finds goroutines in a text, and what was said before them; found: there
// was at least one. Lines may have anything before them that strip takes off.
func Parse(text []byte, strip func(line string) string) (s snapshot.Stacks, found bool) {
	p := parser{groups: map[string]int{}}
	p.out = &s
	s = snapshot.Stacks{Schema: snapshot.SchemaVersion, Runtime: "go", Source: "runtime", Groups: []snapshot.Group{}}
	for line := range bytes.Lines(text) {
		t := strings.TrimRight(strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), "?"), "\r\n")
		if strip != nil {
			t = strip(t)
		}
		p.line(t)
	}
	p.close()
	if p.dropped > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d goroutines beyond the first %d are not shown", p.dropped, maxGoroutines))
	}
	if s.Total > 0 {
		s.Notes = append(s.Notes, "these stacks are what the runtime printed: they have no variables, and, without GOTRACEBACK=all, can be of one goroutine only")
	}
	p.blame()
	analyze.Rank(s.Groups)
	return s, s.Total > 0
}

// parser reads a traceback line by line.
type parser struct {
	out     *snapshot.Stacks
	groups  map[string]int
	g       *snapshot.Group // at hand
	id      int64
	first   int64 // the first goroutine after what was said is the one that ended it
	pending string
	created bool
	crash   *snapshot.Crash
	dropped int
}

func (p *parser) line(t string) {
	switch {
	case strings.HasPrefix(t, "goroutine ") && strings.HasSuffix(t, "]:"):
		p.header(t)
	case p.g == nil:
		p.say(t)
	case t == "":
		p.close()
	case strings.HasPrefix(t, "\t"):
		p.place(strings.TrimPrefix(t, "\t"))
	case strings.HasPrefix(t, "..."):
		p.g.Cut = true
	case strings.HasPrefix(t, "created by "):
		p.pending, p.created = strings.TrimPrefix(t, "created by "), true
		p.pending, _, _ = strings.Cut(p.pending, " in goroutine ")
	case strings.HasPrefix(t, "[signal ") || strings.HasPrefix(t, "panic: "):
		p.close()
		p.say(t)
	default:
		p.frame(t)
	}
}

// say takes a line outside of goroutines: why the program ends.
func (p *parser) say(t string) {
	begin := func(kind, message string) {
		if p.first != 0 {
			return // that of the end comes first
		}
		if p.crash == nil || p.crash.Kind == snapshot.CrashPanic && kind == snapshot.CrashPanic {
			p.crash = &snapshot.Crash{Kind: kind, Message: cut(message)}
		}
	}
	switch {
	case strings.HasPrefix(t, "panic: "):
		begin(snapshot.CrashPanic, strings.TrimPrefix(t, "panic: "))
	case strings.HasPrefix(t, "fatal error: "):
		begin(snapshot.CrashError, strings.TrimPrefix(t, "fatal error: "))
	case strings.HasPrefix(t, "SIG") && strings.Contains(t, ": "):
		name, rest, _ := strings.Cut(t, ": ")
		if begin(snapshot.CrashSignal, rest); p.crash != nil && p.crash.Kind == snapshot.CrashSignal && !strings.ContainsAny(name, " \t") {
			p.crash.Signal = name
		}
	case strings.HasPrefix(t, "[signal ") && p.crash != nil:
		p.signal(strings.Trim(t, "[]"))
	}
}

// signal takes "signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4".
func (p *parser) signal(t string) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(t, "signal "), ":")
	if p.crash.Signal = name; len(name) > 16 {
		p.crash.Signal = ""
	}
	for _, w := range strings.Fields(rest) {
		if v, ok := strings.CutPrefix(w, "addr="); ok {
			p.crash.Address, _ = strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 64)
		}
	}
}

// header takes "goroutine 18 gp=0xc0 m=nil [chan receive, 5 minutes]:".
func (p *parser) header(t string) {
	p.close()
	number, rest, _ := strings.Cut(strings.TrimPrefix(t, "goroutine "), " ")
	id, err := strconv.ParseInt(number, 10, 64)
	open := strings.IndexByte(rest, '[')
	if err != nil || id < 0 || open < 0 {
		return
	}
	g := &snapshot.Group{Sample: id, Frames: []snapshot.Frame{}}
	words := strings.Split(strings.TrimSuffix(rest[open+1:], "]:"), ", ")
	g.Status, g.WaitReason = "waiting", cut(words[0])
	switch words[0] {
	case "running", "runnable", "syscall", "idle", "dead", "copystack", "preempted":
		g.Status, g.WaitReason = words[0], ""
	}
	for _, w := range words[1:] {
		if n, ok := strings.CutSuffix(w, " minutes"); ok {
			if m, err := strconv.Atoi(n); err == nil && m >= 0 && m < 1<<30 {
				g.WaitMin, g.WaitMax = snapshot.SecondsOf(time.Duration(m)*time.Minute), snapshot.SecondsOf(time.Duration(m)*time.Minute)
			}
		}
	}
	p.g, p.id, p.pending, p.created = g, id, "", false
	if p.first == 0 {
		p.first = id
	}
}

// frame takes "main.(*Server).serve(0xc000, {0x1, 0x2})".
func (p *parser) frame(t string) {
	name := t
	if strings.HasSuffix(t, ")") {
		if open := argumentsAt(t); open > 0 {
			name = t[:open]
		}
	}
	if name == "panic" { // so the runtime prints it
		name = "runtime.gopanic"
	}
	p.pending, p.created = name, false
}

// argumentsAt finds the parenthesis that opens the last group of a call: methods
// have some in their names too.
func argumentsAt(t string) int {
	depth := 0
	for i := len(t) - 1; i >= 0; i-- {
		switch t[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// place takes "/src/main.go:12 +0x1d", of the function before.
func (p *parser) place(t string) {
	if p.pending == "" {
		return
	}
	at, _, _ := strings.Cut(t, " ")
	place := snapshot.Place{Function: p.pending, File: at}
	if i := strings.LastIndexByte(at, ':'); i > 0 {
		if n, err := strconv.Atoi(at[i+1:]); err == nil {
			place.File, place.Line = at[:i], n
		}
	}
	switch {
	case p.created:
		p.g.CreatedBy = &place
	case len(p.g.Frames) < maxFrames:
		p.g.Frames = append(p.g.Frames, snapshot.Frame{Place: place})
	default:
		p.g.Cut = true
	}
	p.pending = ""
}

// close puts the goroutine at hand into its group.
func (p *parser) close() {
	g := p.g
	if p.g = nil; g == nil {
		return
	}
	if p.out.Total >= maxGoroutines {
		p.dropped++
		return
	}
	p.out.Total++
	p.out.Unwound++
	var key strings.Builder
	fmt.Fprintf(&key, "%s\n%s\n%v", g.Status, g.WaitReason, g.CreatedBy)
	if g.CreatedBy != nil {
		fmt.Fprintf(&key, "%s:%d", g.CreatedBy.Function, g.CreatedBy.Line)
	}
	for _, f := range g.Frames {
		fmt.Fprintf(&key, "\n%s %s:%d", f.Function, f.File, f.Line)
	}
	n, ok := p.groups[key.String()]
	if !ok {
		n = len(p.out.Groups)
		p.groups[key.String()] = n
		p.out.Groups = append(p.out.Groups, *g)
	}
	into := &p.out.Groups[n]
	into.Count++
	into.IDs = append(into.IDs, p.id)
	if g.WaitMax > 0 {
		into.Members = append(into.Members, snapshot.Member{ID: p.id, Waiting: g.WaitMax})
		into.WaitMin, into.WaitMax = min(into.WaitMin, g.WaitMin), max(into.WaitMax, g.WaitMax)
	}
}

// blame marks the goroutine that the program ended by: the first one that was
// printed after what was said.
func (p *parser) blame() {
	if p.crash == nil || p.first == 0 {
		p.out.Crash = p.crash
		return
	}
	p.crash.Goroutine = p.first
	for i := range p.out.Groups {
		g := &p.out.Groups[i]
		if !slices.Contains(g.IDs, p.first) {
			continue
		}
		g.Crashed = p.crash.Kind != snapshot.CrashSignal || p.crash.Signal != "SIGQUIT"
		if f, ok := analyze.OwnFrame(g.Frames); ok {
			place := f.Place
			p.crash.Frame = &place
		}
		break
	}
	p.out.Crash = p.crash
}

func cut(s string) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "..."
	}
	shown, _ := snapshot.MaskText(s)
	return shown
}
