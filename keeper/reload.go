package keeper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/spawn"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// stage is how far a reload has come.
type stage uint8

const (
	trying  stage = iota // the candidate starts, loads, checks and plans; nothing has changed
	waiting              // it is good; the one in charge finishes what is at hand
	taking               // it has the epoch, and recovers
)

// reload is the replacement of the supervisor by a candidate: from the program
// and the configuration that are on disk now. There is at most one.
type reload struct {
	demand   uint64 // what it answers
	begun    time.Duration
	deadline time.Duration
	stage    stage
	cand     supervisor
	exe      *executable
	former   *executable // of the one before, until the new one is in charge
	plan     protocol.Plan
	request  request // the Plan that waits for its epoch
}

// bounds of a reload. Each time ends it, or the process that holds it up.
type bounds struct {
	candidate time.Duration // from its start to its plan
	retire    time.Duration // for the one in charge to finish what is at hand
	takeover  time.Duration // from its epoch to TReady
	// gap is the least time from the end of a reload to the next one: how much
	// work a storm of HUPs causes is bounded by time, not by their number.
	gap       time.Duration
	probation time.Duration // that a new supervisor must live to have proved itself
}

var usualBounds = bounds{
	candidate: 10 * time.Second, retire: 10 * time.Second, takeover: 15 * time.Second,
	gap: 200 * time.Millisecond, probation: healthyAfter,
}

func (r *reload) next() time.Duration {
	switch {
	case r == nil:
		return 0
	case r.cand.corpse != nil:
		return min(r.deadline, r.cand.corpseEnd)
	}
	return r.deadline
}

// begunCandidate is what came of starting a candidate.
type begunCandidate struct {
	reload *reload
	sup    supervisor
	exe    *executable
	err    error
}

// beginReload starts a candidate, off the loop: the program may lie on a file
// system that hangs.
func (k *Keeper) beginReload(demand uint64) {
	now := clock.Boot()
	r := &reload{demand: demand, begun: now, deadline: now + k.bounds.candidate}
	k.reload = r
	if k.opening {
		k.refuse(fmt.Sprintf("the program (%s) cannot be opened: the file system has not answered since the last reload", k.disk))
		return
	}
	k.opening = true
	k.inFlight++
	path, args := k.disk, k.opt.Supervisor
	go func() {
		b := begunCandidate{reload: r}
		if b.exe, b.err = openExecutable(path); b.err == nil {
			b.sup, b.err = k.spawnSupervisor(b.exe, args)
		}
		select {
		case k.candidates <- b:
		case <-k.ctx.Done():
		}
	}()
}

func (k *Keeper) onCandidate(b begunCandidate) {
	defer k.startDone()
	k.opening = false
	r := b.reload
	if b.err != nil {
		b.exe.close()
		if k.reload == r {
			k.refuse(b.err.Error())
		}
		return
	}
	if k.reload != r { // cancelled meanwhile
		b.sup.discard()
		b.exe.close()
		return
	}
	r.cand, r.exe = b.sup, b.exe
	r.cand.link.serve(k.inbox, k.ctx.Done())
	if d, ok := k.early[r.cand.pid]; ok {
		delete(k.early, r.cand.pid)
		k.onCandidateDeath(d)
	}
}

// onCandidateMessage takes what a candidate says before it has an epoch.
func (k *Keeper) onCandidateMessage(m received) {
	r := k.reload
	if m.err != nil {
		r.cand.over = true
		if r.cand.corpse != nil {
			k.onCandidateDeath(*r.cand.corpse)
			return
		}
		if errors.Is(m.err, protocol.ErrMalformed) {
			k.refuse("the candidate does not speak our protocol (stop vigil and start it again to get to such a version): " + m.err.Error())
			return
		}
		// Its end follows, and says more.
		r.deadline = min(r.deadline, clock.Boot()+unlinkedGrace)
		return
	}
	defer m.msg.CloseFiles()
	req := request{m.link, m.msg.ID}
	switch m.msg.Type {
	case protocol.THello:
		k.onCandidateHello(req, m.msg)
	case protocol.TRecover:
		k.brief(req)
	case protocol.TPlan:
		k.onPlan(req, m.msg)
	case protocol.TBeat:
	default:
		k.respond(req, protocol.TReply, protocol.Reply{Code: "fenced", Error: fmt.Sprintf("cannot %s: a candidate has no epoch", m.msg.Type)})
	}
}

func (k *Keeper) onCandidateHello(req request, m protocol.Message) {
	var h protocol.Hello
	err := m.Into(&h)
	if err == nil && h.Protocol != protocol.Version {
		err = fmt.Errorf("version %s speaks protocol %d, this keeper %d: stop vigil and start it again to get there", h.Version, h.Protocol, protocol.Version)
	}
	if err != nil {
		k.respond(req, protocol.TReply, protocol.Reply{Code: "failed", Error: err.Error()})
		k.refuse(err.Error())
		return
	}
	k.reload.cand.version = h.Version
	k.respond(req, protocol.TWelcome, k.welcome(0, protocol.BeginCandidate))
}

// brief tells a candidate what there is, without handing it over.
func (k *Keeper) brief(req request) {
	for _, id := range k.order {
		c := k.children[id]
		d, _ := c.describe()
		d.Files = make([]bool, len(d.Files))
		k.respond(req, protocol.TChild, d)
	}
	for key, text := range k.notes {
		k.respond(req, protocol.TNote, protocol.Note{Key: key, Text: text})
	}
	k.respond(req, protocol.TRecovered, struct{}{})
}

// onPlan: the candidate has done all that it can do without an epoch.
func (k *Keeper) onPlan(req request, m protocol.Message) {
	r := k.reload
	if r.stage != trying || r.cand.version == "" {
		k.respond(req, protocol.TReply, protocol.Reply{Code: "failed", Error: "cannot take the plan: it comes once, after hello"})
		return
	}
	if err := m.Into(&r.plan); err != nil {
		k.refuse(err.Error())
		return
	}
	if r.plan.Refused != "" {
		k.refuse(r.plan.Refused)
		return
	}
	r.request = req
	r.stage, r.deadline = waiting, clock.Boot()+k.bounds.retire
	if !k.sup.alive() {
		k.promote()
		return
	}
	k.askToRetire()
}

// askToRetire asks the one in charge to make room. One that still recovers
// would not understand: it is asked when it is ready.
func (k *Keeper) askToRetire() {
	if !k.sup.ready {
		return
	}
	k.sup.retiring = true
	msg, err := protocol.Make(protocol.TRetire, 0, k.sup.epoch, nil)
	if err == nil {
		k.sup.link.put(msg, nil)
	}
}

// promote gives the candidate its epoch, once there is nobody else.
func (k *Keeper) promote() {
	r := k.reload
	epoch := k.sup.epoch + 1
	r.former, k.exe = k.exe, r.exe
	former := k.sup
	k.sup = r.cand
	k.sup.epoch, k.sup.everReady, k.sup.former = epoch, former.everReady, former.lastVersion()
	k.sup.lastBeat, k.sup.startedAt = clock.Boot(), clock.Boot()
	r.cand = supervisor{}
	r.stage, r.deadline = taking, clock.Boot()+k.bounds.takeover
	k.recordSupervisor()
	k.sup.reply(r.request, protocol.TWelcome, k.welcome(epoch, protocol.BeginCandidate))
}

// reloadTaken: the new supervisor is in charge.
func (k *Keeper) reloadTaken() {
	r := k.reload
	k.reload = nil
	p := r.plan
	text := fmt.Sprintf("done in %v: supervisor pid %d, version %s; added %d, removed %d, restarted %d, left %d",
		(clock.Boot() - r.begun).Round(100*time.Microsecond), k.sup.pid, p.Version, len(p.Add), len(p.Remove), len(p.Restart), len(p.Leave))
	k.reloadOver(r.demand, protocol.EventReloaded, text, &p)
}

// refuse ends a reload of which nothing has happened yet: the one in charge
// stays.
func (k *Keeper) refuse(why string) {
	r := k.reload
	k.reload = nil
	r.cand.discard()
	r.exe.close()
	k.reloadOver(r.demand, protocol.EventRefused, "refused: "+why, nil)
}

// fallBack: the new supervisor has ended before it was in charge. The one
// before starts again, with the configuration that it had.
func (k *Keeper) fallBack(why string) {
	r := k.reload
	k.reload = nil
	k.exe.close()
	k.exe = r.former
	k.sup.version = "" // it was never in charge; the one before still is the former
	k.reloadOver(r.demand, protocol.EventRefused, "refused: "+why+"; the version before is started again, with the configuration that it had", nil)
}

func (k *Keeper) reloadOver(demand uint64, kind protocol.EventKind, text string, plan *protocol.Plan) {
	k.nextReload = clock.Boot() + k.bounds.gap
	k.tidy.Worked(clock.Boot())
	k.tell(protocol.Event{Kind: kind, Demand: demand, Text: text, Plan: plan})
	k.demandDone(demand, text)
	if kind == protocol.EventRefused && !k.sup.ready { // else the supervisor says it
		fmt.Fprintf(os.Stderr, "vigil: reload %s\n", text)
	}
}

// onCandidateDeath: it ended before it got its epoch.
func (k *Keeper) onCandidateDeath(d death) {
	r := k.reload
	if !d.ended() || !r.cand.heard(d) {
		return
	}
	r.cand.release()
	r.cand.pid = 0
	k.refuse(fmt.Sprintf("the candidate (%s) ended with %s before it was ready", r.exe.path, describeStatus(syscall.WaitStatus(d.exit.Status))))
}

// cancelReload drops a candidate for something that goes before. One for which
// the supervisor makes room already goes on.
func (k *Keeper) cancelReload(why string) {
	if k.reload != nil && k.reload.stage == trying {
		k.refuse(why)
	}
}

// abandonReload drops a candidate because nobody will be in charge any more.
// One that has its epoch is the supervisor itself.
func (k *Keeper) abandonReload(why string) {
	if k.reload != nil && k.reload.stage != taking {
		k.refuse(why)
	}
}

// superviseReload ends what takes too long.
func (k *Keeper) superviseReload(now time.Duration) {
	r := k.reload
	if r != nil && r.cand.corpse != nil && now >= r.cand.corpseEnd {
		k.onCandidateDeath(*r.cand.corpse)
		return
	}
	if r == nil || now < r.deadline {
		return
	}
	switch r.stage {
	case trying:
		k.refuse(fmt.Sprintf("the candidate (%s) was not ready within %v", k.disk, k.bounds.candidate))
	case waiting:
		fmt.Fprintf(os.Stderr, "vigil: supervisor pid %d did not make room within %v; ending it\n", k.sup.pid, k.bounds.retire)
		r.deadline = now + k.bounds.retire
		_ = k.sup.pidfd.Signal(syscall.SIGKILL)
	case taking:
		r.deadline = now + k.bounds.takeover
		_ = k.sup.pidfd.Signal(syscall.SIGKILL)
	}
}

// spawnSupervisor starts a supervisor. Its descriptors 0 to 2 are ours. The
// caller has counted it in inFlight.
func (k *Keeper) spawnSupervisor(exe *executable, args []string) (supervisor, error) {
	conn, far, err := protocol.Pair()
	if err != nil {
		return supervisor{}, err
	}
	defer far.Close()
	spec := spawn.New(exe.command())
	spec.Args = append([]string{"vigil"}, args...)
	spec.Env = os.Environ()
	spec.Stdin, spec.Stdout, spec.Stderr = 0, 1, 2
	spec.Setsid = true // ctrl-C and the end of our terminal are for the keeper
	spec.Extra = []int{int(far.Fd())}
	pid, fd, err := spawn.Start(spec)
	if err != nil {
		conn.Close()
		return supervisor{}, fmt.Errorf("cannot start supervisor from %s: %w", exe.path, err)
	}
	k.kickReaper()
	now := clock.Boot()
	return supervisor{pid: pid, pidfd: pidfd.FD(fd), link: newLink(conn), lastBeat: now, startedAt: now}, nil
}

// discard ends a supervisor that is not wanted. The reaper sees its end.
func (s *supervisor) discard() {
	if s.alive() {
		_ = s.pidfd.Signal(syscall.SIGKILL)
		s.release()
	}
}

// release gives back what belongs to a supervisor's process.
func (s *supervisor) release() {
	s.link.close()
	s.pidfd.Close()
}
