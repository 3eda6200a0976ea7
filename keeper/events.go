package keeper

import (
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// onDeath takes what the reaper saw.
func (k *Keeper) onDeath(d death) {
	if d.pid == k.sup.pid && k.sup.pid != 0 {
		k.onSupervisorDeath(d)
		return
	}
	if k.onHangDeath(d) {
		return
	}
	if k.reload != nil && d.pid == k.reload.cand.pid && d.pid != 0 {
		k.onCandidateDeath(d)
		return
	}
	c, ok := k.byPID[d.pid]
	if d.adopted != "" {
		c, ok = k.children[d.adopted]
		ok = ok && c.exit == nil && c.started.PID == d.pid // else it has another main process by now
	}
	switch {
	case ok && d.ended():
		k.onExit(c, d)
	case ok:
		k.onStop(c, d)
	case d.adopted == "" && k.inFlight > 0 && len(k.early) < maxChildren:
		// Perhaps a start that has not been announced yet, and died or was
		// stopped at once.
		k.early[d.pid] = d
	}
	// Everybody else is an orphan that came to the subreaper: reaped, done.
}

func (k *Keeper) onStop(c *child, d death) {
	if c.killing {
		return // our own doing: a tree without a cgroup is stopped before it is killed
	}
	e := protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventContinued}
	c.stopped = 0
	if d.code == cldStopped {
		c.stopped, e.Kind, e.Number = d.sig, protocol.EventStopped, d.sig
	}
	k.tell(e)
}

// onExit is the end of the process that a child is named after.
func (k *Keeper) onExit(c *child, d death) {
	if k.byPID[d.pid] == c {
		delete(k.byPID, d.pid)
	}
	exit := d.exit
	c.exit, c.stopped = &exit, 0
	// The record comes last: the next instance does not wait for it, and without
	// it only the status would be lost.
	defer k.recordEnd(c)
	if c.again && k.quit == nil && k.stopping == nil {
		k.carryOut(c)
		return
	}
	k.tell(protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventExited, Exit: c.exit, Boot: exit.Boot})
	k.noteEmpty(c)
}

// recordEnd records an end, unless the child is forgotten by now.
func (k *Keeper) recordEnd(c *child) {
	if k.children[c.id] == c {
		k.records.child(c)
	}
}

// noteEmpty reports a tree that is gone by itself.
func (k *Keeper) noteEmpty(c *child) {
	if c.empty || c.killing || c.exit == nil {
		return
	}
	if empty, err := c.tree.Empty(); err == nil && empty {
		k.setEmpty(c)
	}
}

// setEmpty takes that all of a child is gone. Where a standing order is to be
// carried out, the outcome of that tells it; an order that was withdrawn
// meanwhile leaves an end like any other.
func (k *Keeper) setEmpty(c *child) {
	c.empty, c.killing = true, false
	if c.owed && c.again && k.quit == nil && k.stopping == nil {
		k.startNext(c)
		return
	}
	if c.owed {
		c.owed = false
		k.tell(protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventExited, Exit: c.exit, Boot: c.exit.Boot})
	}
	k.tell(protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventEmpty})
	k.forget(c)
}

// carryOut starts the next instance as the standing order says: what is left
// of the old tree goes first, so that there are never two.
func (k *Keeper) carryOut(c *child) {
	c.owed = true
	if empty, err := c.tree.Empty(); err == nil && empty {
		k.setEmpty(c)
		return
	}
	k.killChild(c)
}

func (k *Keeper) startNext(old *child) {
	old.again = false
	s := old.spec
	s.Instance++
	s.Again = false
	next := newChild(s)
	next.follows = old
	k.add(next)
	k.launch(next)
}

func (k *Keeper) add(c *child) {
	k.children[c.id] = c
	k.order = append(k.order, c.id)
}

// forget drops a child that is gone and that nobody needs any more.
func (k *Keeper) forget(c *child) {
	if !c.released || !c.empty || c.starting {
		return
	}
	k.unstoreChild(c)
	c.close()
	k.records.dropChild(c)
	delete(k.children, c.id)
	for i, id := range k.order {
		if id == c.id {
			k.order = append(k.order[:i], k.order[i+1:]...)
			break
		}
	}
}

// onSpawned takes the outcome of a start.
func (k *Keeper) onSpawned(r spawned) {
	defer k.startDone()
	k.tidy.Worked(clock.Boot())
	c := k.children[r.id]
	c.starting = false
	if r.fail != nil {
		k.startFailed(c, r)
	} else {
		k.startWorked(c, r)
	}
}

func (k *Keeper) startFailed(c *child, r spawned) {
	r.outputs().closeReaders()
	c.empty, c.released = true, true
	f := failure(r.fail)
	old := c.follows
	c.follows = nil
	switch {
	case old == nil && c.replyTo.link == k.sup.link && k.sup.link != nil:
		k.sup.reply(c.replyTo, protocol.TReply, f)
	case old == nil:
		k.tell(protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventStartFailed, Failure: &f})
	default:
		k.tell(protocol.Event{Key: old.spec.Key, Inst: old.spec.Instance, Kind: protocol.EventOrderFail, Exit: old.exit, Failure: &f})
	}
	k.forget(c)
}

func (r spawned) outputs() outputs {
	o := noOutputs()
	o.outRead, o.errRead = r.out, r.err
	return o
}

func (k *Keeper) startWorked(c *child, r spawned) {
	c.pidfd, c.out, c.err = r.pidfd, r.out, r.err
	for _, fd := range c.passed {
		unix.Close(fd)
	}
	c.passed = nil
	c.started = protocol.Started{PID: r.pid, Ticks: r.ticks, Instance: c.spec.Instance, Boot: r.boot, Cgroup: c.tree.Path()}
	k.byPID[r.pid] = c
	k.records.child(c)
	k.storeChild(c)
	if w, ok := c.tree.(*walkTree); ok {
		w.started(r.pid)
	}
	fds, _ := c.files()
	old := c.follows
	c.follows = nil
	switch {
	case old == nil && c.replyTo.link == k.sup.link && k.sup.link != nil:
		k.sup.reply(c.replyTo, protocol.TStarted, c.started, fds...)
	case old == nil:
		k.tell(protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventStarted, Started: &c.started, Boot: r.boot}, fds...)
	default:
		k.tell(protocol.Event{Key: old.spec.Key, Inst: old.spec.Instance, Kind: protocol.EventRestarted, Exit: old.exit, Started: &c.started, Boot: r.boot}, fds...)
	}
	if d, ok := k.early[r.pid]; ok {
		delete(k.early, r.pid)
		if d.ended() {
			k.onExit(c, d)
		} else {
			k.onStop(c, d)
		}
	}
	if c.killing {
		c.killing = false
		k.killChild(c)
	}
}

// killChild ends a tree. It is repeated by its own goroutine until it worked.
func (k *Keeper) killChild(c *child) {
	if c.killing || c.empty {
		return
	}
	c.killing = true
	if c.starting {
		return // startWorked goes on with it
	}
	go killTree(k.ctx, c.id, c.tree, k.empties)
}

func (k *Keeper) onEmptied(e emptied) {
	c, ok := k.children[e.id]
	if !ok {
		return
	}
	if e.left != nil {
		k.tell(protocol.Event{Key: c.spec.Key, Inst: c.spec.Instance, Kind: protocol.EventSurvivors, PIDs: e.left})
		return
	}
	c.killing = false
	if c.exit != nil {
		k.setEmpty(c)
	}
	// Else the reaper has not told of its main process yet: the exit comes
	// first, and onExit finds the tree empty.
}
