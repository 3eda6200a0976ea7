package text

import (
	"fmt"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// How many groups of threads, and names in one, are shown without Options.All.
const (
	maxThreadGroups = 40
	maxThreadNames  = 8
)

// threads writes the threads of a program that is not Go's, those that stand at
// the same place together. Of a Go program they are shown only with All: the
// goroutines say more.
func (p *page) threads(doc Document) {
	threads, total := threadsOf(doc)
	if len(threads) == 0 {
		return
	}
	if isGo(doc) && !p.opts.All {
		p.heading("%s", plural(total, "thread"))
		p.line(2, faint, "... of a Go program (--all shows them)")
		return
	}
	order, groups := groupThreads(threads)
	p.heading("%s in %s", plural(total, "thread"), plural(len(order), "group"))
	n := p.bound(len(order), maxThreadGroups)
	for _, key := range order[:n] {
		p.threadGroup(groups[key])
	}
	p.dropped(2, len(order)-n, "group")
	if total > len(threads) {
		p.line(2, faint, "... %s more were not read", plural(total-len(threads), "thread"))
	}
}

func isGo(doc Document) bool { return doc.Stacks != nil && doc.Stacks.Runtime == "go" }

// threadsOf prefers the threads that have user stacks.
func threadsOf(doc Document) (threads []snapshot.Thread, total int) {
	if doc.Stacks != nil {
		threads = doc.Stacks.Threads
	}
	if doc.Process != nil {
		if len(threads) == 0 {
			threads = doc.Process.Threads
		}
		total = doc.Process.ThreadCount
	}
	return threads, max(total, len(threads))
}

// groupThreads puts threads together that stand at the same place.
func groupThreads(threads []snapshot.Thread) (order []string, groups map[string][]snapshot.Thread) {
	groups = make(map[string][]snapshot.Thread)
	for _, t := range threads {
		var key strings.Builder
		fmt.Fprintf(&key, "%s|%s|%s|%q", t.State, t.Wchan, syscallName(t.Syscall), t.KernelStack)
		for _, f := range t.Frames {
			fmt.Fprintf(&key, "|%s %#x", f.Function, f.PC)
		}
		if groups[key.String()] == nil {
			order = append(order, key.String())
		}
		groups[key.String()] = append(groups[key.String()], t)
	}
	return order, groups
}

// syscallName is the first word: the arguments differ from thread to thread.
func syscallName(s string) string {
	s = strings.TrimLeft(s, " ")
	if end := strings.IndexAny(s, " ("); end >= 0 {
		return s[:end]
	}
	return s
}

func (p *page) threadGroup(threads []snapshot.Thread) {
	p.raw(0, plain, "")
	n := p.bound(len(threads), maxThreadNames)
	var names []string
	for _, t := range threads[:n] {
		names = append(names, fmt.Sprintf("%s (%d)", t.Comm, t.TID))
	}
	if more := len(threads) - n; more > 0 {
		names = append(names, fmt.Sprintf("and %s more", count(more)))
	}
	first := threads[0]
	p.line(2, cyan, "%s in state %s: %s", plural(len(threads), "thread"), orUnknown(first.State), strings.Join(names, ", "))
	if first.Wchan != "" && first.Wchan != "0" {
		p.line(4, plain, "waits in the kernel at %s", first.Wchan)
	}
	if first.Syscall != "" {
		p.short(4, plain, "system call %s", first.Syscall)
	}
	for i, entry := range first.KernelStack {
		if i == maxFrames && !p.opts.All {
			p.dropped(4, len(first.KernelStack)-i, "kernel frame")
			break
		}
		p.short(4, faint, "kernel %s", entry)
	}
	p.frames(first.Frames)
}
