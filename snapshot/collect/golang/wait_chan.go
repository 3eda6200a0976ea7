package golang

import "strings"

// Bounds of channels.
const (
	maxCases  = 256 // of one select
	maxQueue  = 20_000
	maxQueues = 4096 // channels whose queues are read
)

// Reasons of waiting for what another goroutine does.
const (
	waitGroup = "sync.WaitGroup.Wait" // since Go 1.25; before, "semacquire"
	condition = "sync.Cond.Wait"
	chanSend  = "chan send"
	chanRecv  = "chan receive"
	selecting = "select"
)

// waitsForOthers reports whether a reason, no lock's, is that of somebody whom
// another goroutine has to wake. Those of testing/synctest ("durable") are not:
// its bubble wakes them, too.
func waitsForOthers(reason string) bool {
	switch reason {
	case waitGroup, condition, chanSend, chanRecv, selecting:
		return true
	}
	return forEver(reason)
}

// forEver is what can never end: nil channels, and a select without cases.
func forEver(reason string) bool {
	return reason == selecting+" (no cases)" || onNilChannel(reason)
}

func onNilChannel(reason string) bool { return strings.HasSuffix(reason, " (nil chan)") }

// want is something that could wake a goroutine.
type want struct {
	kind       string // of the edge: a reason of waiting, or "select send", "select receive"
	address    uint64 // of the channel, lock, ...
	start, end uint64 // of the heap object around it; 0, 0: it is not on the heap
}

// queue is who waits for a channel: addresses of sudogs.
type queue struct {
	send, receive map[uint64]bool
	timer         bool // the runtime sends on it
}

// wantChannels reads the channels of a goroutine that receives, sends or selects.
// What it has queued for is what counts: one that has left a queue is being woken.
func (g *graph) wantChannels(a *actor) {
	if forEver(a.reason) {
		a.known = true
		return
	}
	o := g.off
	if o.c == absent || o.waiting == absent || o.selectDone == absent || o.recvq == absent || o.sendq == absent || g.half(a.addr+o.selectDone) != 0 {
		return
	}
	var wants []want
	for s := g.word(a.addr + o.waiting); s != 0; s = g.word(s + o.waitlink) {
		c := g.word(s + o.c)
		q := g.queue(c)
		if len(wants) == maxCases || q == nil || q.timer || g.word(s+o.g) != a.addr || q.send[s] == q.receive[s] {
			return
		}
		kind := a.reason
		switch {
		case kind == selecting && q.send[s]:
			kind = selecting + " send"
		case kind == selecting:
			kind = selecting + " receive"
		}
		wants = append(wants, want{kind: kind, address: c})
	}
	// A select of nil channels only has none; it may as well be one of which
	// nothing is known.
	a.wants, a.known = wants, len(wants) > 0
}

// queue reads who waits for a channel; nil when that is not known.
func (g *graph) queue(c uint64) *queue {
	if q, ok := g.queues[c]; ok || c == 0 || len(g.queues) == maxQueues {
		return q
	}
	q := &queue{timer: g.off.timer != absent && g.word(c+g.off.timer) != 0}
	var ok, also bool
	q.send, ok = g.sudogs(c + g.off.sendq)
	q.receive, also = g.sudogs(c + g.off.recvq)
	if !ok || !also {
		q = nil
	}
	g.queues[c] = q
	return q
}

// sudogs walks a list of sudogs from where its first is; ok says that it ended.
func (g *graph) sudogs(at uint64) (list map[uint64]bool, ok bool) {
	list = map[uint64]bool{}
	for s := g.word(at); s != 0; s = g.word(s + g.off.next) {
		if list[s] || len(list) == maxQueue {
			return nil, false
		}
		list[s] = true
	}
	return list, true
}

// sending reports whether a kind of edge is that of one who sends.
func sending(kind string) bool { return kind == chanSend || kind == selecting+" send" }
