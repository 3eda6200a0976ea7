package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/signals/intake"
	"github.com/vigil-supervisor/vigil/signals/ledger"
)

// demands is what is asked of vigil, by signals and by clients: each is an
// entry of the ledger, and the inbox says when it is carried out. The loop owns
// it.
type demands struct {
	intake *intake.Intake
	ledger *ledger.Ledger
	inbox  signals.Inbox
	unsent []protocol.Event          // handed out while nobody was in charge
	held   uint64                    // a reload that waits for the gap since the last one, 0: none
	plain  map[plainKey]uint64       // newest entries of signals that ask nothing of vigil itself
	causes map[uint64]protocol.Event // of the entries that the inbox holds
}

// plainKey says which signals without a demand are merged.
type plainKey struct {
	signal syscall.Signal
	sender int
	demand signals.Demand
}

// maxPlain bounds the map of those; then it is begun anew.
const maxPlain = 256

// openDemands begins to receive. A file that does not work, be it that the disk
// is full, is no reason not to start: the ledger is in memory as well.
func (k *Keeper) openDemands(in *intake.Intake) {
	l, err := ledger.Open(filepath.Join(k.opt.StateDir, ledger.FileName))
	if err != nil {
		fmt.Fprintf(os.Stderr, "vigil: the ledger of signals is not kept on disk for now: %v\n", err)
	}
	k.demands = demands{intake: in, ledger: l, plain: map[plainKey]uint64{}, causes: map[uint64]protocol.Event{}}
}

// onSignals takes what the intake has received.
func (k *Keeper) onSignals() {
	for _, r := range k.demands.intake.Take() {
		k.onRecord(r)
	}
}

func (k *Keeper) onRecord(r signals.Record) {
	demand := signals.Meaning(r.Signal, false)
	var from *child
	// Whose process it is matters only to what is not plainly for vigil; in a
	// storm of HUPs nobody is looked up.
	if ofService := signals.Meaning(r.Signal, true); !r.Sender.Forged && (ofService != demand || demand == signals.None) {
		if from = k.serviceOf(r.Sender.PID); from != nil {
			demand = ofService
		}
	}
	switch demand {
	case signals.None, signals.Beat, signals.Capture:
		k.onPlain(r, demand, from)
	default:
		k.enter(demand, r)
	}
}

// enter makes a demand part of the entry that waits, or a new one, and returns
// its number in the ledger.
func (k *Keeper) enter(demand signals.Demand, r signals.Record) (seq uint64) {
	d := &k.demands
	if seq, open := d.inbox.Open(demand); open {
		d.ledger.Merge(seq, r)
		return seq
	}
	seq = d.ledger.Receive(r, demand, "")
	k.demand(demand, seq, r)
	return seq
}

// demand puts a new entry into the inbox.
func (k *Keeper) demand(demand signals.Demand, seq uint64, r signals.Record) {
	d := &k.demands
	d.causes[seq] = protocol.Event{
		Kind: protocol.EventSignal, Number: int(r.Signal), Boot: r.Boot, Demand: seq, Name: demand, Text: who(r),
	}
	d.inbox.Received(demand, seq)
	if demand == signals.Stop && k.ownStopAt == 0 {
		k.stopAt(clock.Boot() + termPatience)
	}
}

// onPlain takes a signal that asks nothing of vigil itself. Many of the same
// sender are one entry.
func (k *Keeper) onPlain(r signals.Record, demand signals.Demand, sender *child) {
	d := &k.demands
	e := protocol.Event{Kind: protocol.EventSignal, Number: int(r.Signal), Boot: r.Boot, Name: demand, Text: who(r)}
	if sender != nil {
		e.Key, e.Inst = sender.spec.Key, sender.spec.Instance
	}
	k.sup.sendEvent(e, nil)
	from := e.Key
	key := plainKey{r.Signal, r.Sender.PID, demand}
	if seq, ok := d.plain[key]; ok && d.ledger.Merge(seq, r) {
		return
	}
	if len(d.plain) >= maxPlain {
		clear(d.plain)
	}
	seq := d.ledger.Receive(r, demand, from)
	d.plain[key] = seq
	outcome := map[signals.Demand]string{
		signals.None:    "passed on to the services that ask for it (forward)",
		signals.Beat:    "taken as beats of " + from,
		signals.Capture: "a snapshot of " + from + " is taken",
	}[demand]
	if !k.sup.ready {
		outcome = "dropped: no supervisor was in charge"
	}
	d.ledger.Outcome(seq, outcome)
}

// serviceOf returns the instance of a service that a process belongs to, nil for
// a process of nobody's. One that has ended a moment ago is still known.
func (k *Keeper) serviceOf(pid int) *child {
	if pid <= 1 || pid == k.pid {
		return nil
	}
	if c, ok := k.byPID[pid]; ok {
		return c.service()
	}
	path := cgroupOf(pid)
	var ended *child
	for _, c := range k.children {
		if c.tree != nil && c.tree.Path() != "" && path != "" && inside(c.tree.Path(), path) {
			return c.service()
		}
		if c.exit != nil && c.started.PID == pid {
			ended = c.service()
		}
	}
	if ended == nil && k.cgroups == nil {
		return k.serviceAbove(pid)
	}
	return ended
}

// maxDepth bounds the walk from a process to the main process of its service.
const maxDepth = 64

// serviceAbove finds the service that a process descends from, where services
// have no cgroups: by its parents, and, of an orphan that came to us, by the mark
// in its environment.
func (k *Keeper) serviceAbove(pid int) *child {
	for range maxDepth {
		p, err := proctree.Read(pid)
		if err != nil || p.PPID <= 1 {
			return nil
		}
		if p.PPID == k.pid {
			mark, _ := proctree.Variable(pid, markName)
			if c := k.children[strings.TrimPrefix(mark, k.opt.Name+"/")]; c != nil {
				return c.service()
			}
			return nil
		}
		if c, ok := k.byPID[p.PPID]; ok {
			return c.service()
		}
		pid = p.PPID
	}
	return nil
}

// takeDemands hands out what is to be done now.
func (k *Keeper) takeDemands(now time.Duration) {
	d := &k.demands
	for k.quit == nil && k.stopping == nil {
		task, ok := d.inbox.Next()
		if !ok {
			break
		}
		event := d.causes[task.ID]
		switch {
		case task.Refuse != "":
			k.closeDemand(task.ID, task.Refuse)
		case task.Demand == signals.Reload:
			d.held = task.ID
		default:
			if task.Demand == signals.Stop {
				k.cancelReload("vigil is asked to stop")
			}
			d.unsent = append(d.unsent, event)
		}
	}
	k.sendDemands()
	if at := k.reloadDue(); at > 0 && now >= at {
		id := d.held
		d.held = 0
		k.beginReload(id)
	}
}

// stopAsked reports whether somebody waits for the end of all.
func (k *Keeper) stopAsked() bool {
	_, ok := k.demands.inbox.Open(signals.Stop)
	return ok
}

// sendDemands tells the supervisor in charge what it is to do.
func (k *Keeper) sendDemands() {
	if !k.sup.ready || k.sup.retiring {
		return
	}
	for _, e := range k.demands.unsent {
		k.sup.sendEvent(e, nil)
	}
	k.demands.unsent = nil
}

// reloadDue is when the reload that waits may begin, 0: none waits.
func (k *Keeper) reloadDue() time.Duration {
	if k.demands.held == 0 || k.reload != nil || k.quit != nil || k.stopping != nil {
		return 0
	}
	return max(k.nextReload, 1)
}

// demandDone takes what came of a demand.
func (k *Keeper) demandDone(seq uint64, outcome string) {
	if _, ok := k.demands.inbox.Done(seq); ok {
		k.closeDemand(seq, outcome)
	}
}

func (k *Keeper) closeDemand(seq uint64, outcome string) {
	delete(k.demands.causes, seq)
	k.demands.ledger.Outcome(seq, outcome)
}

// demandsLost: the supervisor that was to carry them out is gone. Its successor
// gets them. A reload is the keeper's own work and goes on.
func (k *Keeper) demandsLost() {
	d := &k.demands
	for _, m := range d.inbox.Lost(signals.Reload) {
		k.closeDemand(m.ID, fmt.Sprintf("done with %d: the supervisor ended before it was carried out", m.Into))
	}
	d.unsent = nil
}

// endDemands writes what becomes of the demands that are left at the end.
func (k *Keeper) endDemands() {
	d := &k.demands
	for seq, e := range d.causes {
		outcome := "dropped: vigil ended before it was carried out"
		if e.Name == signals.Stop {
			outcome = "done: vigil has ended"
		}
		d.ledger.Outcome(seq, outcome)
	}
	if err := d.ledger.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "vigil: cannot write the ledger of signals: %v\n", err)
	}
}

// onReloadRequest takes a client's wish for a reload, which is a demand like
// one by HUP. The answer says under which number what came of it is found.
func (k *Keeper) onReloadRequest(req request, m protocol.Message) {
	var b protocol.Reload
	if err := m.Into(&b); err != nil {
		k.answer(req, err)
		return
	}
	r := signals.Record{Sender: b.From, Boot: clock.Boot(), Wall: time.Now(), Count: 1}
	k.sup.reply(req, protocol.TReply, protocol.Reply{Demand: k.enter(signals.Reload, r)})
}

func (k *Keeper) onOutcome(m protocol.Message) {
	var o protocol.Outcome
	if m.Into(&o) == nil {
		k.demandDone(o.Demand, o.Text)
	}
}

func (k *Keeper) onLedger(req request, m protocol.Message) {
	var q protocol.LedgerQuery
	if err := m.Into(&q); err != nil {
		k.answer(req, err)
		return
	}
	k.sup.reply(req, protocol.TEntries, protocol.Entries{
		Entries: k.demands.ledger.Entries(q.Since, q.Limit), Stats: k.demands.ledger.Stats(),
	})
}

// recordSent enters a signal that a client had us send to a service.
func (k *Keeper) recordSent(s protocol.Signal, key string, err error) {
	if s.From == nil {
		return
	}
	r := signals.Record{Signal: syscall.Signal(s.Number), Sender: *s.From, Boot: clock.Boot(), Wall: time.Now(), Count: 1}
	seq := k.demands.ledger.Receive(r, signals.None, key)
	outcome := "delivered"
	if err != nil {
		outcome = "refused: " + err.Error()
	}
	k.demands.ledger.Outcome(seq, outcome)
}

// who words the sender of a signal.
func who(r signals.Record) string {
	s := r.Sender
	text := "somebody unknown"
	switch {
	case s.Command == signals.Kernel:
		text = "the kernel"
	case s.PID > 0 && s.Command != "":
		text = fmt.Sprintf("pid %d (%s) uid %d", s.PID, s.Command, s.UID)
	case s.PID > 0:
		text = fmt.Sprintf("pid %d uid %d", s.PID, s.UID)
	case s.UID >= 0:
		text = fmt.Sprintf("somebody outside of this pid namespace, uid %d", s.UID)
	}
	if s.Forged {
		text += ", as it claims"
	}
	return text
}
