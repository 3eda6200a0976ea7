package golang

// groupSema is where the semaphore of a sync.WaitGroup is, behind the state of 64
// bits; unchanged since Go 1.20.
const groupSema = 8

// wantGroup reads which sync.WaitGroup a goroutine waits for. One whose counter,
// the upper half of its state, is 0 is waking it just now.
func (g *graph) wantGroup(a *actor) {
	sema, queued := g.sema.at[a.addr]
	group := sema - groupSema
	if !queued || g.word(group)>>32 == 0 {
		return
	}
	a.wants, a.known = []want{{kind: a.reason, address: group}}, true
}

// condList is where the list of a sync.Cond is, behind its Locker; unchanged since
// Go 1.7.
const condList = 16

// wantCondition reads which sync.Cond a goroutine waits for: since Go 1.26 its
// sudog has the address of the list in which it waits to be notified.
func (g *graph) wantCondition(a *actor) {
	o := g.off
	if !g.atLeast(26) || o.waiting == absent || o.notifyHead == absent {
		return
	}
	s := g.word(a.addr + o.waiting)
	list := g.word(s + o.elem)
	if s == 0 || list == 0 || g.word(s+o.g) != a.addr {
		return
	}
	q, known := g.queues[list]
	if !known && len(g.queues) < maxQueues {
		if waiting, ok := g.sudogs(list + o.notifyHead); ok {
			q = &queue{receive: waiting}
		}
		g.queues[list] = q
	}
	if q != nil && q.receive[s] {
		a.wants, a.known = []want{{kind: a.reason, address: list - condList}}, true
	}
}
