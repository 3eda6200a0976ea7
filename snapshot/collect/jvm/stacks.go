package jvm

import (
	"fmt"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// stacksOf puts a dump into the words of the model.
func stacksOf(d dump, source string) *snapshot.Stacks {
	s := &snapshot.Stacks{
		Schema: snapshot.SchemaVersion, Runtime: "jvm", Source: source,
		Total: len(d.threads), Unwound: len(d.threads), Groups: []snapshot.Group{},
	}
	at := map[string]int{}
	for i := range d.threads {
		t := &d.threads[i]
		key := groupKey(t)
		n, ok := at[key]
		if !ok {
			n = len(s.Groups)
			at[key] = n
			s.Groups = append(s.Groups, groupOf(t))
		}
		g := &s.Groups[n]
		g.Count++
		g.IDs = append(g.IDs, t.id())
		g.Members = append(g.Members, snapshot.Member{ID: t.id(), TID: t.nid, Name: t.name})
	}
	s.Waits = waitsOf(d)
	s.Deadlocks = analyze.Cycles(s.Waits)
	analyze.Rank(s.Groups)
	if d.cut {
		s.Notes = append(s.Notes, fmt.Sprintf("the dump has more than %d threads, or more than %d frames of one: the rest is left out", maxThreads, maxFrames))
	}
	if d.virtual {
		s.Notes = append(s.Notes, "virtual threads are in a dump only while a thread carries them: those that wait are not")
	}
	if len(d.deadlocks) > 0 && len(s.Deadlocks) == 0 {
		s.Notes = append(s.Notes, "the JVM itself reports a Java-level deadlock: see the text of the dump")
	}
	return s
}

// id is the number of a thread; the JVM's own have none, and are known by their
// thread id, with a sign that no number of a thread has.
func (t *thread) id() int64 {
	if t.number != 0 {
		return t.number
	}
	return -int64(t.nid)
}

func groupKey(t *thread) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%v%v", t.state, t.waitKind, t.carries, t.virtual)
	for _, f := range t.frames {
		fmt.Fprintf(&b, "\n%s:%d", f.function, f.line)
	}
	return b.String()
}

func groupOf(t *thread) snapshot.Group {
	state, why, _ := strings.Cut(t.state, " ")
	g := snapshot.Group{Status: strings.ToLower(state), WaitReason: reasonOf(t, strings.Trim(why, "()")), System: len(t.frames) == 0, Sample: t.id(), Frames: []snapshot.Frame{}}
	switch {
	case g.Status != "":
	case t.carries:
		g.Status = "runnable"
	default:
		g.Status = t.doing
	}
	for _, f := range t.frames {
		g.Frames = append(g.Frames, snapshot.Frame{Place: snapshot.Place{Function: f.function, File: f.file, Line: f.line}})
	}
	g.Idle = idle(t)
	return g
}

// reasonOf says what a thread waits for, in the words of Java.
func reasonOf(t *thread, why string) string {
	switch {
	case t.enters():
		return "monitor"
	case why == "on object monitor":
		return "object wait"
	case why == "parking":
		return "park"
	case why == "sleeping":
		return "sleep"
	}
	return why
}

// enters: it waits for a monitor to be free, maybe to come back from Object.wait.
func (t *thread) enters() bool {
	return t.waitKind == kindEnter || t.waitKind == kindReenter || t.waitKind == kindWait && strings.HasPrefix(t.state, "BLOCKED")
}

// inWait: it is in Object.wait.
func (t *thread) inWait() bool {
	return t.doing == "in Object.wait()" || strings.HasSuffix(t.state, "WAITING (on object monitor)")
}

// waitsOf makes the edges of the wait-for graph. HotSpot knows who owns a
// monitor, and, asked for it, who owns a synchronizer: these edges are certain.
func waitsOf(d dump) []snapshot.Wait {
	owners := map[uint64]int64{}
	for i := range d.threads {
		t := &d.threads[i]
		for n, l := range t.locked {
			// In Object.wait a thread has given the monitor up, which is the innermost
			// one should it not be named.
			if l.address == t.waitsFor.address && t.waitKind != kindPark || n == 0 && t.waitKind == "" && t.inWait() {
				continue
			}
			owners[l.address] = t.id()
		}
		for _, l := range t.owns {
			owners[l.address] = t.id()
		}
	}
	d.ownersOf(owners)
	var waits []snapshot.Wait
	for i := range d.threads {
		t := &d.threads[i]
		holder := owners[t.waitsFor.address]
		if t.waitKind == "" || t.waitKind == kindWait && !t.enters() || holder == t.id() || (t.waitKind == kindPark && holder == 0) {
			continue // for a notification, or a signal, from whoever
		}
		kind := "monitor"
		if t.waitKind == kindPark {
			kind = lockClass(t.waitsFor.class)
		}
		w := snapshot.Wait{Waiter: t.id(), Kind: kind, Address: t.waitsFor.address, Name: t.waitsFor.class, Holder: holder, Certain: holder != 0}
		for _, f := range t.frames {
			if !ofJava(f.function) {
				w.Place = &snapshot.Place{Function: f.function, File: f.file, Line: f.line}
				break
			}
		}
		waits = append(waits, w)
	}
	return waits
}

// lockClass is the lock whose inner class a synchronizer is:
// "java.util.concurrent.locks.ReentrantLock$NonfairSync" -> "...ReentrantLock".
func lockClass(class string) string {
	outer, _, _ := strings.Cut(class, "$")
	return outer
}

func ofJava(function string) bool {
	for _, p := range [...]string{"java.", "javax.", "jdk.", "sun.", "com.sun."} {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}

// idle says why a thread that waits is set aside: it waits for work.
func idle(t *thread) string {
	if t.carries {
		return "it carries a virtual thread, which is listed by itself"
	}
	for _, f := range t.frames {
		switch f.function {
		case "java.util.concurrent.ThreadPoolExecutor.getTask", "java.util.concurrent.ForkJoinPool.awaitWork":
			return "a thread of a pool waits for a task"
		case "java.lang.ref.ReferenceQueue.remove", "java.lang.ref.Reference.waitForReferencePendingList":
			return "it waits for references to be cleared"
		case "java.util.TimerThread.mainLoop":
			return "a timer waits for its next task"
		case "sun.nio.ch.SelectorImpl.lockAndDoSelect":
			return "it waits for something to read or write"
		}
		if !ofJava(f.function) {
			return ""
		}
	}
	return ""
}
