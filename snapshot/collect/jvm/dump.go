package jvm

import (
	"bytes"
	"strconv"
	"strings"
)

// Bounds of a thread dump, which comes from a program that is not well.
const (
	maxThreads = 1 << 16
	maxFrames  = 1024 // of a thread; HotSpot's own limit is 1024 (MaxJavaStackTraceDepth)
	maxLine    = 4096 // bytes
	maxLocks   = 256  // of a thread
)

// thread is one thread of a dump.
type thread struct {
	name    string
	number  int64 // "#12"; 0: a thread of the JVM itself
	nid     int   // the thread id of the operating system
	daemon  bool
	virtual bool
	doing   string // "waiting on condition", "runnable"
	state   string // "TIMED_WAITING (parking)"; "": a thread of the JVM itself
	frames  []frame

	waitsFor lock   // "waiting to lock", "parking to wait for", "waiting on"
	waitKind string // which of them
	locked   []lock // monitors
	owns     []lock // ownable synchronizers
}

type frame struct {
	function string
	file     string
	line     int
}

type lock struct {
	address uint64
	class   string
}

// dump is a thread dump in HotSpot's words.
type dump struct {
	version   string
	threads   []thread
	deadlocks int      // that HotSpot itself has found
	notes     []string // lines that belong to no thread
	cut       bool     // more threads or frames than were read
}

// What a line of a stack can say of a lock, before the lock itself.
const (
	kindLocked  = "locked"
	kindEnter   = "waiting to lock"
	kindReenter = "waiting to re-lock in wait()"
	kindWait    = "waiting on"
	kindPark    = "parking to wait for"
)

// parse reads the text that Thread.print and SIGQUIT give; what comes before it
// is skipped. found: there was a dump in it, maybe cut short.
func parse(text []byte) (d dump, found bool) {
	at := bytes.Index(text, []byte("Full thread dump "))
	if at < 0 {
		return d, false
	}
	p := parser{d: &d}
	for line := range bytes.Lines(text[at:]) {
		if !p.line(strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), "?")) {
			break
		}
	}
	p.close()
	return d, true
}

// parser reads a dump line by line.
type parser struct {
	d     *dump
	t     *thread
	owned bool   // in the list of ownable synchronizers
	name  string // the beginning of a header whose name has a line break in it
	full  bool
}

// line takes one line; false: the dump is over.
func (p *parser) line(line string) bool {
	text := strings.TrimRight(line, "\r\n")
	switch body := strings.TrimLeft(text, " \t"); {
	case p.name != "" || strings.HasPrefix(text, `"`):
		p.header(text)
	case strings.HasPrefix(text, "Full thread dump "):
		if p.d.version != "" {
			return false // another dump, or the same one once more
		}
		p.d.version = strings.TrimSuffix(strings.TrimPrefix(text, "Full thread dump "), ":")
	case strings.HasPrefix(text, "Found ") && strings.Contains(text, "Java-level deadlock"):
		p.close()
		p.d.deadlocks++
	case strings.HasPrefix(text, "JNI global ref"):
		p.close()
		p.d.notes = append(p.d.notes, text)
	case p.t == nil:
	case strings.HasPrefix(body, "java.lang.Thread.State: "):
		p.t.state = strings.TrimPrefix(body, "java.lang.Thread.State: ")
	case strings.HasPrefix(body, "at "):
		p.frame(strings.TrimPrefix(body, "at "))
	case strings.HasPrefix(body, "Locked ownable synchronizers:"):
		p.owned = true
	case strings.HasPrefix(body, "- "):
		p.lock(strings.TrimPrefix(body, "- "))
	case strings.HasPrefix(body, "Carrying virtual thread"):
		p.t.doing = body
	}
	return true
}

// header takes the line with which a thread begins. Its name can hold anything.
func (p *parser) header(text string) {
	if p.name != "" {
		text = p.name + `\n` + text
		p.name = ""
	}
	end := strings.LastIndexByte(text, '"')
	if end <= 0 || !strings.Contains(text[end:], "tid=") && !strings.Contains(text[end:], "#") {
		if len(text) < maxLine {
			p.name = text
		}
		return
	}
	p.close()
	if len(p.d.threads) >= maxThreads {
		p.d.cut, p.full = true, true
		return
	}
	t := &thread{name: text[1:end]}
	rest := text[end+1:]
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		key, value, _ := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "#"):
			t.number, _ = strconv.ParseInt(word[1:], 10, 64)
		case word == "daemon":
			t.daemon = true
		case word == "virtual":
			t.virtual = true
		case key == "nid":
			n, _ := strconv.ParseInt(value, 0, 32) // hexadecimal before JDK 21
			t.nid = int(max(n, 0))
			doing, _, _ := strings.Cut(rest, "[")
			t.doing, rest = strings.TrimSpace(doing), ""
		}
	}
	p.t, p.owned = t, false
}

// close ends the thread at hand.
func (p *parser) close() {
	if p.t != nil {
		p.d.threads = append(p.d.threads, *p.t)
	}
	p.t = nil
}

// frame takes "java.lang.Thread.sleep(java.base@17.0.16/Native Method)".
func (p *parser) frame(text string) {
	if len(p.t.frames) >= maxFrames {
		p.d.cut = true
		return
	}
	function, place, _ := strings.Cut(text, "(")
	place, _, _ = strings.Cut(place, ")")
	if _, name, ok := strings.Cut(place, "/"); ok { // of a module
		place = name
	}
	// Since JDK 9 a loader and a module can stand before the class:
	// "app//a.b.C.m", "java.base@17/java.lang.Thread.run". A hidden class has the
	// slash behind: "Main$$Lambda$14/0x0000000800c03000.run".
	for {
		before, after, ok := strings.Cut(function, "/")
		if !ok || strings.HasPrefix(after, "0x") || strings.Contains(before, "$$") {
			break
		}
		function = after
	}
	f := frame{function: function}
	file, line, ok := strings.Cut(place, ":")
	if f.file = file; ok {
		f.line, _ = strconv.Atoi(line)
	}
	p.t.frames = append(p.t.frames, f)
}

// lock takes "locked <0x000000062> (a java.lang.Object)", without the dash.
func (p *parser) lock(text string) {
	kind, rest, ok := strings.Cut(text, " <")
	if p.owned {
		kind, rest, ok = kindPark, strings.TrimPrefix(text, "<"), strings.HasPrefix(text, "<")
	}
	if !ok {
		return // "None", "<no object reference available>"
	}
	hex, class, _ := strings.Cut(rest, ">")
	address, err := strconv.ParseUint(strings.TrimPrefix(hex, "0x"), 16, 64)
	if err != nil {
		return
	}
	class = strings.TrimPrefix(strings.Trim(class, " ()"), "a ")
	l := lock{address, class}
	switch kind = strings.TrimSpace(kind); {
	case p.owned && len(p.t.owns) < maxLocks:
		p.t.owns = append(p.t.owns, l)
	case kind == kindLocked && len(p.t.locked) < maxLocks:
		p.t.locked = append(p.t.locked, l)
	case kind == kindEnter || kind == kindReenter || kind == kindWait || kind == kindPark:
		if p.t.waitKind == "" { // the innermost
			p.t.waitsFor, p.t.waitKind = l, kind
		}
	}
}
