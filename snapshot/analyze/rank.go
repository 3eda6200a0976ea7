package analyze

import (
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Own reports whether a function belongs to the program itself or to a library
// of it, not to Go's standard library: the first element of its import path has
// a dot, or it is in package main.
func Own(function string) bool {
	if strings.HasPrefix(function, "main.") {
		return true
	}
	// import path, up to the last slash, then package.symbol
	first, _, deep := strings.Cut(function, "/")
	if !deep {
		return false
	}
	return strings.Contains(first, ".") && !strings.HasPrefix(function, "golang.org/x/")
}

// OwnFrame returns the innermost frame of the program's own code.
func OwnFrame(frames []snapshot.Frame) (snapshot.Frame, bool) {
	for _, f := range frames {
		if Own(f.Function) {
			return f, true
		}
	}
	return snapshot.Frame{}, false
}

// Ranks of a group, first to be read first.
const (
	rankLock   = iota // own code waits for a lock
	rankWait          // own code waits for something else
	rankActive        // own code runs or is in a system call
	rankOther         // a library's goroutine
	rankSystem        // the runtime's own, idle by nature
)

func rank(g snapshot.Group) int {
	if g.System {
		return rankSystem
	}
	if _, own := OwnFrame(g.Frames); !own {
		return rankOther
	}
	switch {
	case IsLock(g.WaitReason):
		return rankLock
	case waits(g):
		return rankWait
	}
	return rankActive
}

// waits reports whether a group is parked; Go 1.26 calls one "leaked" when its
// collector found that nothing can wake it.
func waits(g snapshot.Group) bool { return g.Status == "waiting" || g.Status == "leaked" }

// IsLock reports whether a wait reason is that of a mutex or semaphore.
func IsLock(reason string) bool {
	return strings.HasPrefix(reason, "sync.Mutex") || strings.HasPrefix(reason, "sync.RWMutex") || reason == "semacquire"
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
