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
	virtual bool   // mounted on the thread of that nid
	carries bool   // such a thread, which is listed by itself
	inJava  bool   // it runs Java code, in no safepoint
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
	deadlocks [][]blocked // that HotSpot itself has found
	virtual   bool        // there are virtual threads
	heap      []byte      // as SIGQUIT prints it
	notes     []string    // lines that belong to no thread
	cut       bool        // more threads or frames than were read
}

// dumpBegin begins a dump.
const dumpBegin = "Full thread dump "

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
	at := bytes.Index(text, []byte(dumpBegin))
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
	d.deadlocks = p.knots.list
	return d, true
}

// parser reads a dump line by line.
type parser struct {
	d       *dump
	t       *thread
	carrier *thread // that t is mounted on
	owned   bool    // in the list of ownable synchronizers
	name    string  // the beginning of a header whose name has a line break in it
	knots   knots   // what follows the threads
	heap    bool    // in what SIGQUIT prints of the heap
}

// line takes one line; false: the dump is over.
func (p *parser) line(line string) bool {
	text := strings.TrimRight(line, "\r\n")
	switch body := strings.TrimLeft(text, " \t"); {
	case p.heap:
		if text != "" {
			p.d.heap = append(p.d.heap, line...)
		}
		return text != ""
	case strings.HasPrefix(text, dumpBegin):
		if p.d.version != "" {
			return false // another dump, or the same one once more
		}
		p.d.version = strings.TrimSuffix(strings.TrimPrefix(text, dumpBegin), ":")
	case p.name == "" && text == "Heap":
		p.close()
		p.heap = true
	case p.name == "" && p.knots.line(text):
		p.close()
	case p.name != "" || strings.HasPrefix(text, `"`):
		p.header(text)
	case strings.HasPrefix(text, "JNI global ref"):
		p.close()
		p.d.notes = append(p.d.notes, text)
	case p.t == nil:
	default:
		p.stack(body)
	}
	return true
}

// stack takes a line below the header of a thread.
func (p *parser) stack(body string) {
	_, mounted, mounts := strings.Cut(body, "Mounted virtual thread #")
	switch {
	case strings.HasPrefix(body, "java.lang.Thread.State: "):
		p.t.state = strings.TrimPrefix(body, "java.lang.Thread.State: ")
	case strings.HasPrefix(body, "at "):
		p.frame(strings.TrimPrefix(body, "at "))
	case strings.HasPrefix(body, "Locked ownable synchronizers:"):
		p.unmount()
		p.owned = true
	case strings.HasPrefix(body, "- "):
		p.lock(strings.TrimPrefix(body, "- "))
	case strings.HasPrefix(body, "Carrying virtual thread"):
		p.d.virtual = true
		p.t.doing = body
	case mounts && p.carrier == nil: // since JDK 24
		p.carrier, p.t.carries = p.t, true
		p.t = &thread{name: p.carrier.name, nid: p.carrier.nid, virtual: true, state: "RUNNABLE"}
		p.t.number, _ = strconv.ParseInt(mounted, 10, 64)
	}
}

// unmount ends a virtual thread, and goes on with its carrier.
func (p *parser) unmount() {
	if p.carrier != nil {
		p.keep(p.t)
		p.t, p.carrier = p.carrier, nil
	}
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
	t := &thread{name: text[1:end]}
	rest := text[end+1:]
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		key, value, _ := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "#"):
			t.number, _ = strconv.ParseInt(word[1:], 10, 64)
		case strings.HasPrefix(word, "[") && t.nid == 0: // since JDK 21; an address follows at the end
			t.nid = threadID(strings.Trim(word, "[]"), 10)
		case word == "daemon":
			t.daemon = true
		case key == "nid":
			t.nid = threadID(value, 0) // hexadecimal before JDK 21
			doing, _, _ := strings.Cut(rest, "[")
			t.doing, rest = strings.TrimSpace(doing), ""
		}
	}
	p.t, p.owned = t, false
}

func threadID(digits string, base int) int {
	n, _ := strconv.ParseInt(digits, base, 32)
	return int(max(n, 0))
}

// close ends the thread at hand.
func (p *parser) close() {
	p.unmount()
	p.keep(p.t)
	p.t = nil
}

func (p *parser) keep(t *thread) {
	switch {
	case t == nil:
	case len(p.d.threads) < maxThreads:
		p.d.threads = append(p.d.threads, *t)
	default:
		p.d.cut = true
	}
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
	if p.owned {
		if l, ok := parseLock(strings.TrimPrefix(text, "<")); ok && len(p.t.owns) < maxLocks {
			p.t.owns = append(p.t.owns, l)
		}
		return // or it is "None"
	}
	p.t.lock(text)
}

// lock takes what a line of a stack says of a lock.
func (t *thread) lock(text string) {
	kind, rest, _ := strings.Cut(text, " <")
	l, ok := parseLock(rest)
	if !ok {
		return // "no object reference available", "owner is scalar replaced"
	}
	switch kind = strings.TrimSpace(kind); kind {
	case kindLocked:
		if len(t.locked) < maxLocks {
			t.locked = append(t.locked, l)
		}
	case kindEnter, kindReenter, kindWait, kindPark:
		if t.waitKind == "" { // the innermost
			t.waitsFor, t.waitKind = l, kind
		}
	}
}

// parseLock reads "0x000000062> (a java.lang.Object)".
func parseLock(text string) (l lock, ok bool) {
	hex, class, _ := strings.Cut(text, ">")
	address, err := strconv.ParseUint(strings.TrimPrefix(hex, "0x"), 16, 64)
	if err != nil {
		return l, false
	}
	return lock{address, className(class)}, true
}

// className reads "(a java/lang/Object)".
func className(text string) string {
	text = strings.Trim(text, " (),")
	return strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(text, "an "), "a "), "/", ".")
}
