package jvm

import (
	"bytes"
	"strconv"
	"strings"
)

// parseJhsdb reads what `jhsdb jstack` prints. Its headers are those of a thread
// dump, or, in older versions,
//
//	Thread 4711: (state = BLOCKED)
//
// and its frames and locks are
//
//   - java.lang.Object.wait(long) @bci=0 (Compiled frame)
//   - waiting on <0x00000000ffd02f40> (a java.lang.Object)
//   - Main.main(java.lang.String[]) @bci=5, line=12 (Interpreted frame)
//
// It does not tell of the virtual machine's own threads.
func parseJhsdb(text []byte) (d dump, found bool) {
	p := parser{d: &d}
	for line := range bytes.Lines(text) {
		p.jhsdb(strings.TrimRight(strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), "?"), "\r\n"))
	}
	p.close()
	for i := range d.threads {
		d.threads[i].settle()
	}
	d.deadlocks = p.knots.list
	return d, len(d.threads) > 0
}

func (p *parser) jhsdb(text string) {
	body := strings.TrimLeft(text, " \t")
	isFrame := strings.HasPrefix(body, "- ") && strings.Contains(body, "@bci=")
	switch {
	case p.name == "" && p.knots.line(text):
	case p.name != "" || strings.HasPrefix(text, `"`):
		p.header(text)
	case strings.HasPrefix(text, "Thread ") && strings.Contains(text, "(state = "):
		p.close()
		number, rest, _ := strings.Cut(strings.TrimPrefix(text, "Thread "), ":")
		_, state, _ := strings.Cut(rest, "(state = ")
		p.t = &thread{nid: threadID(number, 10), doing: strings.TrimSuffix(state, ")")}
		p.t.inJava = p.t.doing == "IN_JAVA"
	case strings.HasPrefix(text, "JVM version is "):
		p.d.version = strings.TrimPrefix(text, "JVM version is ")
	case p.t == nil:
	case strings.HasPrefix(body, "java.lang.Thread.State: "):
		p.t.state = strings.TrimPrefix(body, "java.lang.Thread.State: ")
	case strings.HasPrefix(body, "JavaThread state: "):
		p.t.inJava = body == "JavaThread state: _thread_in_java"
	case isFrame && len(p.t.frames) < maxFrames:
		p.t.frames = append(p.t.frames, jhsdbFrame(strings.TrimPrefix(body, "- ")))
	case isFrame:
		p.d.cut = true
	case strings.HasPrefix(body, "- "):
		p.t.lock(strings.TrimPrefix(body, "- "))
	}
}

// settle puts what jhsdb says into the words of a thread dump.
func (t *thread) settle() {
	if t.state == "" {
		t.state = t.stateByFrame()
	}
	// It calls also the monitor locked that a thread is about to lock.
	if strings.HasPrefix(t.state, "BLOCKED") && t.waitKind == "" && len(t.locked) > 0 {
		t.waitsFor, t.waitKind, t.locked = t.locked[0], kindEnter, t.locked[1:]
	}
}

// stateByFrame: the older format knows only that the virtual machine has a
// thread blocked, in whatever way.
func (t *thread) stateByFrame() string {
	switch {
	case t.doing != "BLOCKED" && t.doing != "BLOCKED_TRANS":
		return "RUNNABLE"
	case t.waitKind == kindEnter:
		return "BLOCKED (on object monitor)"
	case len(t.frames) == 0:
		return ""
	}
	switch function := t.frames[0].function; {
	case function == "java.lang.Object.wait":
		return "WAITING (on object monitor)"
	case function == "java.lang.Thread.sleep":
		return "TIMED_WAITING (sleeping)"
	case strings.HasSuffix(function, ".Unsafe.park"):
		return "WAITING (parking)"
	}
	return "WAITING"
}

// jhsdbFrame reads "Main.main(java.lang.String[]) @bci=5, line=12 (Interpreted frame)".
func jhsdbFrame(s string) frame {
	function, rest, _ := strings.Cut(s, "(")
	f := frame{function: strings.Replace(function, "+0x", "/0x", 1)} // of a hidden class, as in a dump
	if _, line, ok := strings.Cut(rest, "line="); ok {
		digits, _, _ := strings.Cut(line, " ")
		f.line, _ = strconv.Atoi(strings.TrimRight(digits, ",)"))
	}
	return f
}
