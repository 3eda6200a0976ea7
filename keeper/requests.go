package keeper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// onReceived takes one message of the supervisor.
func (k *Keeper) onReceived(r received) {
	if k.reload != nil && r.link == k.reload.cand.link && r.link != nil {
		k.onCandidateMessage(r)
		return
	}
	if r.link != k.sup.link {
		r.msg.CloseFiles()
		return // of a predecessor
	}
	if r.err != nil {
		k.sup.over = true
		if k.sup.corpse != nil {
			k.onSupervisorDeath(*k.sup.corpse)
			return
		}
		// A supervisor without its socket can do nothing; its end follows.
		if errors.Is(r.err, protocol.ErrMalformed) {
			fmt.Fprintf(os.Stderr, "vigil: %v; ending supervisor pid %d\n", r.err, k.sup.pid)
		}
		// It may be about to exit with a status that says why: it gets a moment,
		// and its usual time when it was let go.
		if k.quit == nil && !k.sup.retiring {
			k.sup.lastBeat = min(k.sup.lastBeat, clock.Boot()-k.beatTimeout()+unlinkedGrace)
			k.sup.unlinked = true
		}
		return
	}
	k.sup.lastBeat = clock.Boot()
	req := request{r.link, r.msg.ID}
	if r.msg.Type != protocol.THello && r.msg.Epoch != k.sup.epoch {
		r.msg.CloseFiles()
		k.sup.reply(req, protocol.TReply, protocol.Reply{Code: "fenced",
			Error: fmt.Sprintf("cannot %s: epoch %d is over, the newest is %d", r.msg.Type, r.msg.Epoch, k.sup.epoch)})
		return
	}
	k.handle(req, r.msg)
}

// unlinkedGrace is how long a supervisor may live without its socket.
const unlinkedGrace = time.Second

// handle carries out one request of the supervisor in charge.
func (k *Keeper) handle(req request, m protocol.Message) {
	kept := false
	defer func() {
		if !kept {
			m.CloseFiles()
		}
	}()
	var err error
	switch m.Type {
	case protocol.TBeat:
		return
	case protocol.TReady:
		kept = k.onReady(m)
		return
	case protocol.TAck:
		k.onAck(m)
		return
	case protocol.TOutcome:
		k.onOutcome(m)
		return
	case protocol.TLedger:
		k.onLedger(req, m)
		return
	case protocol.TReload:
		k.onReloadRequest(req, m)
		return
	case protocol.THello:
		k.onHello(req, m)
		return
	case protocol.TRecover:
		k.onRecover(req)
		return
	case protocol.TStart:
		if kept, err = k.onStart(req, m); err == nil {
			return // answered when it is known
		}
	case protocol.TPutFile:
		kept, err = k.onPutFile(m)
	case protocol.TSignal:
		err = k.onSignalRequest(m)
	default:
		err = k.handleNamed(m)
	}
	k.answer(req, err)
}

// handleNamed carries out the requests that only name something.
func (k *Keeper) handleNamed(m protocol.Message) error {
	switch m.Type {
	case protocol.TKill:
		return with(m, k.onKill)
	case protocol.TMain:
		return with(m, k.onMain)
	case protocol.TOrder:
		return with(m, k.onOrder)
	case protocol.TDropFile:
		return with(m, func(b protocol.Name) error { return k.onDropFile(b.Name) })
	case protocol.TPutNote:
		return with(m, k.onPutNote)
	case protocol.TRelease:
		return with(m, func(b protocol.Name) error { return k.onRelease(b.Name) })
	case protocol.TQuit:
		return with(m, func(b protocol.Quit) error { k.quit = &b; k.abandonReload("vigil is about to end"); return nil })
	}
	return fmt.Errorf("cannot handle %s: it is not a request", m.Type)
}

func with[B any](m protocol.Message, do func(B) error) error {
	var b B
	if err := m.Into(&b); err != nil {
		return err
	}
	return do(b)
}

func (k *Keeper) answer(req request, err error) {
	var r protocol.Reply
	if err != nil {
		r = protocol.Reply{Error: err.Error(), Code: "failed"}
		var errno syscall.Errno
		if errors.As(err, &errno) {
			r.Errno = int(errno)
		}
		if errors.Is(err, errUnknown) {
			r.Code = "unknown"
		}
	}
	k.sup.reply(req, protocol.TReply, r)
}

func (k *Keeper) onHello(req request, m protocol.Message) {
	var h protocol.Hello
	if err := m.Into(&h); err != nil {
		k.answer(req, err)
		return
	}
	if h.Protocol != protocol.Version {
		k.answer(req, fmt.Errorf("cannot serve supervisor %s: it speaks protocol %d, this keeper %d", h.Version, h.Protocol, protocol.Version))
		return
	}
	k.sup.epoch++
	k.sup.version = h.Version
	k.recordSupervisor()
	begin := protocol.BeginAgain
	if !k.sup.everReady {
		begin = protocol.BeginFirst
	}
	k.sup.reply(req, protocol.TWelcome, k.welcome(k.sup.epoch, begin))
}

func (k *Keeper) welcome(epoch uint64, begin protocol.Beginning) protocol.Welcome {
	w := protocol.Welcome{
		Epoch: epoch, Beginning: begin, Former: k.sup.former, Name: k.opt.Name, KeeperPID: k.pid, KeeperVersion: k.opt.Version,
		Started: k.started, NoCgroup: k.noCgroup, NoReaper: k.noReaper,
	}
	if k.cgroups != nil {
		w.Cgroup = k.cgroups.Path()
	}
	return w
}

// onRecover tells all there is. Starts under way are told when they end.
func (k *Keeper) onRecover(req request) {
	for _, id := range k.order {
		c := k.children[id]
		if c.starting && c.follows == nil {
			c.replyTo = request{} // whoever asked is gone
			k.sup.reply(req, protocol.TChild, protocol.Child{Key: c.spec.Key, Helper: c.spec.Helper, Waiting: true,
				Started: protocol.Started{Instance: c.spec.Instance}, Files: make([]bool, 3)})
		}
		if c.starting {
			continue
		}
		d, fds := c.describe()
		k.sup.reply(req, protocol.TChild, d, fds...)
	}
	for name, fd := range k.files {
		k.sup.reply(req, protocol.TFile, protocol.Name{Name: name}, fd)
	}
	for key, text := range k.notes {
		k.sup.reply(req, protocol.TNote, protocol.Note{Key: key, Text: text})
	}
	k.sup.reply(req, protocol.TRecovered, struct{}{})
}

// onReady puts the supervisor in charge: it gets every event that nobody has
// acknowledged, in order. The configuration that came with it is kept for the
// case that it crashes.
func (k *Keeper) onReady(m protocol.Message) (kept bool) {
	k.sup.ready, k.sup.everReady = true, true
	taken := k.reload != nil && k.reload.stage == taking
	if taken {
		k.beginProbation(k.reload.former)
	} else {
		k.goOnProbation()
	}
	if len(m.Files) == 1 {
		k.keepFile(protocol.ConfigFile, m.Files[0])
		kept = true
	}
	k.repeat()
	switch {
	case taken:
		k.reloadTaken()
	case k.reload != nil && k.reload.stage == waiting:
		k.askToRetire()
	}
	return kept
}

// repeat tells what nobody has acknowledged.
func (k *Keeper) repeat() {
	for _, p := range k.events {
		var fds []int
		if p.event.Started != nil {
			if c, ok := k.children[protocol.ID(p.event.Key, p.event.Started.Instance)]; ok {
				fds, _ = c.files()
			}
		}
		k.sup.sendEvent(p.event, fds)
	}
}

func (k *Keeper) onAck(m protocol.Message) {
	var a protocol.Ack
	if m.Into(&a) != nil {
		return
	}
	for len(k.events) > 0 && k.events[0].event.Seq <= a.Seq {
		k.events = k.events[1:]
	}
}

func (k *Keeper) onStart(req request, m protocol.Message) (kept bool, err error) {
	var s protocol.Start
	if err := m.Into(&s); err != nil {
		return false, err
	}
	if k.quit != nil {
		return false, errors.New("cannot start: the keeper is about to end")
	}
	if s.Key == "" || s.Path == "" || len(s.Args) == 0 {
		return false, errors.New("cannot start: key, path and arguments are needed")
	}
	if len(k.children) >= maxChildren {
		return false, fmt.Errorf("cannot start %s: %d children is the limit", s.Key, maxChildren)
	}
	for _, c := range k.children {
		if c.spec.Key == s.Key && (!c.empty || c.spec.Instance == s.Instance) {
			return false, fmt.Errorf("cannot start %s: instance %d is not gone", s.Key, c.spec.Instance)
		}
	}
	c := newChild(s)
	c.passed, c.replyTo = m.Files, req
	k.add(c)
	k.launch(c)
	return true, nil
}

func (k *Keeper) onSignalRequest(m protocol.Message) error {
	var s protocol.Signal
	if err := m.Into(&s); err != nil {
		return err
	}
	c, err := k.find(s.ID)
	if err != nil {
		return err
	}
	err = k.sendSignal(c, s)
	k.recordSent(s, c.spec.Key, err)
	return err
}

func (k *Keeper) sendSignal(c *child, s protocol.Signal) error {
	if c.exit != nil || c.pidfd < 0 {
		return fmt.Errorf("cannot signal %s: %w", s.ID, syscall.ESRCH)
	}
	if s.Number < 0 || s.Number > 64 {
		return fmt.Errorf("cannot signal %s: no signal has the number %d", s.ID, s.Number)
	}
	if s.Scope == protocol.ScopeGroup {
		// The leader is not reaped (exit is nil), so its pid, and with it the
		// group's, cannot belong to anybody else.
		return wrap("cannot signal group of "+s.ID, unix.Kill(-c.started.PID, syscall.Signal(s.Number)))
	}
	return wrap("cannot signal "+s.ID, pidfd.FD(c.pidfd).Signal(syscall.Signal(s.Number)))
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (k *Keeper) onKill(b protocol.Kill) error {
	c, err := k.find(b.ID)
	if err != nil {
		return err
	}
	for _, pid := range b.Spare[:min(len(b.Spare), protocol.MaxSpared)] {
		// One that cannot be spared is killed, and its copy says so.
		_ = c.tree.Spare(pid)
	}
	c.again = false
	k.killChild(c)
	return nil
}

// onMain lets another process of the tree stand for the child (MAINPID=).
func (k *Keeper) onMain(b protocol.Main) error {
	c, err := k.find(b.ID)
	if err != nil {
		return err
	}
	if c.exit != nil || b.PID == c.started.PID {
		return nil
	}
	fd, err := pidfd.Open(b.PID)
	if err != nil {
		return err
	}
	delete(k.byPID, c.started.PID)
	unix.Close(c.pidfd)
	c.pidfd, c.started.PID = int(fd), b.PID
	c.started.Ticks, _ = pidfd.StartTicks(b.PID)
	k.byPID[b.PID] = c
	k.records.child(c)
	k.unstoreChild(c)
	k.storeChild(c)
	if c.adopted {
		go watchAdopted(k.ctx, fd, c.id, b.PID, k.deaths)
	}
	return nil
}

func (k *Keeper) onOrder(b protocol.Order) error {
	c, err := k.find(b.ID)
	if err == nil {
		c.again = b.Again && c.exit == nil && !c.adopted
	}
	return err
}

func (k *Keeper) onPutFile(m protocol.Message) (kept bool, err error) {
	var b protocol.Name
	if err := m.Into(&b); err != nil {
		return false, err
	}
	_, has := k.files[b.Name]
	if len(m.Files) != 1 || !has && len(k.files) >= maxFiles {
		return false, fmt.Errorf("cannot keep descriptor %q: %d came, %d of %d are kept", b.Name, len(m.Files), len(k.files), maxFiles)
	}
	k.keepFile(b.Name, m.Files[0])
	return true, nil
}

func (k *Keeper) keepFile(name string, fd int) {
	if old, has := k.files[name]; has {
		unix.Close(old)
	}
	k.files[name] = fd
	k.storeFile(name, fd)
}

func (k *Keeper) onDropFile(name string) error {
	if fd, ok := k.files[name]; ok {
		unix.Close(fd)
		delete(k.files, name)
		k.unstoreFile(name)
	}
	return nil
}

func (k *Keeper) onPutNote(n protocol.Note) error {
	if len(n.Text) == 0 {
		delete(k.notes, n.Key)
		k.records.noteText(n.Key, nil)
		return nil
	}
	_, has := k.notes[n.Key]
	if len(n.Text) > maxNote || !has && len(k.notes) >= maxNotes {
		return fmt.Errorf("cannot keep note %q: %d bytes of %d, %d notes of %d", n.Key, len(n.Text), maxNote, len(k.notes), maxNotes)
	}
	k.notes[n.Key] = n.Text
	k.records.noteText(n.Key, n.Text)
	return nil
}

func (k *Keeper) onRelease(id string) error {
	c, err := k.find(id)
	if err != nil {
		return nil // released already
	}
	c.released = true
	k.forget(c)
	return nil
}
