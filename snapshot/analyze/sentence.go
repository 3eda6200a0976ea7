package analyze

import (
	"fmt"
	"path"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxNamed bounds how many goroutines of a cycle a sentence names.
const maxNamed = 4

// Sentence is the cause in one plain sentence with its proof. verdict is what
// the supervisor saw ("no beat for 2.1 s (limit 2 s)"), may be empty; stacks
// may be nil.
func Sentence(cause snapshot.Cause, verdict string, stacks *snapshot.Stacks) string {
	text := string(cause)
	if verdict != "" {
		text += ": " + verdict
	}
	if stacks == nil {
		return text
	}
	if finding := Finding(*stacks); finding != "" {
		if verdict == "" {
			return text + ": " + finding
		}
		return text + "; " + finding
	}
	return text
}

// Finding is the strongest thing that the stacks prove, "" when nothing stands
// out.
func Finding(s snapshot.Stacks) string {
	if len(s.Deadlocks) > 0 {
		return deadlock(s, s.Deadlocks[0])
	}
	for _, g := range s.Groups {
		frame, own := OwnFrame(g.Frames)
		if !own || g.System || g.Status != "waiting" || (!IsLock(g.WaitReason) && g.Count < 2) {
			continue
		}
		return fmt.Sprintf("%s in %s waiting in %s", count(g.Count, "goroutine"), place(frame.Place), g.WaitReason)
	}
	return ""
}

func deadlock(s snapshot.Stacks, c snapshot.Cycle) string {
	edges := map[int64]snapshot.Wait{}
	for _, w := range s.Waits {
		edges[w.Goroutine] = w
	}
	if len(c.Goroutines) == 0 {
		return ""
	}
	first := edges[c.Goroutines[0]]
	likely := ""
	if !c.Certain {
		likely = "likely "
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %sdeadlocked on %s: %d", count(len(c.Goroutines), "goroutine"), likely, lockName(first.Kind), c.Goroutines[0])
	if first.Place != nil {
		fmt.Fprintf(&b, " (%s)", place(*first.Place))
	}
	for i, g := range c.Goroutines[1:] {
		word := ", which waits for "
		if i == 0 {
			word = " waits for "
		}
		if i == maxNamed {
			fmt.Fprintf(&b, "%s... (%d more)", word, len(c.Goroutines)-1-i)
			break
		}
		fmt.Fprintf(&b, "%s%d", word, g)
	}
	if len(c.Goroutines) == 1 {
		b.WriteString(" waits for itself")
	} else {
		fmt.Fprintf(&b, ", which waits for %d", c.Goroutines[0])
	}
	return b.String()
}

// lockName is the type of a lock of a wait reason: "sync.Mutex.Lock" -> "sync.Mutex".
func lockName(kind string) string {
	if i := strings.LastIndexByte(kind, '.'); i > 0 && strings.Count(kind, ".") > 1 {
		return kind[:i]
	}
	return kind
}

// place is "main.f file.go:40".
func place(p snapshot.Place) string {
	if p.File == "" {
		return p.Function
	}
	return fmt.Sprintf("%s %s:%d", p.Function, path.Base(p.File), p.Line)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
