package jvm

import (
	"strconv"
	"strings"
)

// blocked is one line of a deadlock that HotSpot has found: who waits for what,
// and who holds it. The next one is the holder, and the first one that of the last.
type blocked struct {
	name  string
	lock  lock
	owner string
}

// Bounds of what is read of deadlocks.
const (
	maxKnots   = 64
	maxBlocked = 1024 // of each
)

// knots reads the part of a dump that tells of deadlocks:
//
//	Found one Java-level deadlock:
//	=============================
//	"a":
//	  waiting to lock monitor 0x00007f21c4057410 (object 0x00000000ffd1aa38, a java.lang.Object),
//	  which is held by "b"
//	"b":
//	  waiting for ownable synchronizer 0x00000000ffd1aba0, (a java.util.concurrent.locks.ReentrantLock$NonfairSync),
//	  which is held by "a"
//
//	Java stack information for the threads listed above:
//
// This is the one place where the owner of a java.util.concurrent lock is told
// without a walk over the heap.
type knots struct {
	list [][]blocked
	open bool // in a knot
	skip bool // in the stacks that follow, which are known
	at   blocked
}

// line takes a line, and reports whether it belongs here.
func (k *knots) line(text string) bool {
	body := strings.TrimLeft(text, " \t")
	switch {
	case strings.HasPrefix(text, "Found ") && strings.Contains(text, "Java-level deadlock"):
		k.open, k.skip = true, false
		if len(k.list) < maxKnots {
			k.list = append(k.list, nil)
		} else {
			k.open, k.skip = false, true
		}
	case strings.HasPrefix(text, "Found ") && strings.Contains(text, "deadlock"): // "Found a total of 2 deadlocks."
		k.open, k.skip = false, false
	case strings.HasPrefix(text, "Java stack information for the threads listed above"):
		k.open, k.skip = false, true
	case k.skip:
	case !k.open:
		return false
	case strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `":`):
		k.at = blocked{name: text[1:max(1, len(text)-2)]}
	case strings.HasPrefix(body, "waiting to lock "):
		_, object, _ := strings.Cut(strings.ToLower(body), "(object") // "@0x..." or " 0x..."
		_, class, _ := strings.Cut(body, ", ")
		k.at.lock = lock{address(object), className(class)}
	case strings.HasPrefix(body, "waiting for ownable synchronizer "):
		hex, class, _ := strings.Cut(strings.TrimPrefix(body, "waiting for ownable synchronizer "), ",")
		k.at.lock = lock{address(hex), className(class)}
	case strings.HasPrefix(body, "which is held by "):
		k.at.owner = strings.Trim(strings.TrimPrefix(body, "which is held by "), `"`)
		if last := len(k.list) - 1; k.at.lock.address != 0 && len(k.list[last]) < maxBlocked {
			k.list[last] = append(k.list[last], k.at)
		}
		k.at = blocked{}
	case strings.HasPrefix(text, `"`) && strings.Contains(text, "tid="):
		k.open = false // the first thread of what jhsdb prints
		return false
	}
	return true
}

// address reads the hexadecimal number with which a text begins, after a sign.
func address(text string) uint64 {
	text = strings.TrimPrefix(strings.Trim(text, " @"), "0x")
	end := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
	if end >= 0 {
		text = text[:end]
	}
	n, _ := strconv.ParseUint(text, 16, 64)
	return n
}

// ownersOf adds the owners that a deadlock names. Names are not unique: it must
// be the one thread of that name that waits for what the next of the deadlock
// waits for.
func (d *dump) ownersOf(owners map[uint64]int64) {
	if len(d.deadlocks) == 0 {
		return
	}
	type waiting struct {
		name string
		lock uint64
	}
	by := map[waiting][]int64{}
	for i := range d.threads {
		t := &d.threads[i]
		w := waiting{t.name, t.waitsFor.address}
		by[w] = append(by[w], t.id())
	}
	for _, knot := range d.deadlocks {
		for i, b := range knot {
			next := knot[(i+1)%len(knot)]
			ids := by[waiting{b.owner, next.lock.address}]
			if _, known := owners[b.lock.address]; !known && next.name == b.owner && len(ids) == 1 {
				owners[b.lock.address] = ids[0]
			}
		}
	}
}
