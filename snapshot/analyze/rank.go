package analyze

import (
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Ranks of a group, first to be read first.
const (
	rankLock   = iota // own code waits for a lock
	rankWait          // own code waits for something else
	rankActive        // own code runs or is in a system call
	rankOther         // a library's goroutine
	rankSystem        // idle by nature, or the runtime's own
)

func rank(g snapshot.Group) int {
	if g.System || g.Idle != "" {
		return rankSystem
	}
	if _, own := OwnFrame(g.Frames); !own {
		return rankOther
	}
	switch {
	case IsLock(g.WaitReason) || g.Status == "blocked": // so a JVM calls a monitor's waiter
		return rankLock
	case waits(g):
		return rankWait
	}
	return rankActive
}

// waits reports whether a group is parked; Go 1.26 calls one "leaked" when its
// collector found that nothing can wake it; a JVM has three words for it.
func waits(g snapshot.Group) bool {
	switch g.Status {
	case "waiting", "leaked", "blocked", "timed_waiting":
		return true
	}
	return false
}

// IsLock reports whether a wait reason is that of a mutex or semaphore, or of a
// monitor.
func IsLock(reason string) bool {
	return strings.HasPrefix(reason, "sync.Mutex") || strings.HasPrefix(reason, "sync.RWMutex") || reason == "semacquire" || reason == "monitor"
}

// Rank orders groups for reading: own code that waits for a lock, own code that
// waits, own code that runs, libraries, the runtime; larger groups first, then
// by the lowest goroutine id.
func Rank(groups []snapshot.Group) {
	slices.SortStableFunc(groups, func(a, b snapshot.Group) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if d := b.Count - a.Count; d != 0 {
			return d
		}
		return int(min(max(a.Sample-b.Sample, -1), 1))
	})
}
