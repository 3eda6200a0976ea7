package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/control/server"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/tidy"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
	"github.com/vigil-supervisor/vigil/supervisor/order"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"

	"github.com/vigil-supervisor/vigil/control"
)

// Supervisor is the one loop that owns all services. Everything else sends it
// tasks; nothing outside of the loop touches its fields but the channels.
type Supervisor struct {
	opt     Options
	log     *zap.Logger
	ownLog  *capped
	keeper  *keeperLink
	welcome protocol.Welcome
	store   *store.Store
	noStore string // why there is none

	services   map[string]*service
	names      []string
	events     eventRing
	recording  recording
	buffers    *logs.Buffers
	compressor logs.Compressor
	notifies   *watchdog.Buffers
	stdout     *logs.Echo
	stderr     *logs.Echo
	runtimes   runtimes
	jobs       jobs               // captures and analyses under way
	tracers    map[string]*tracer // permanent ones, by the id of their helper
	snapshots  snapshots          // asked for, of services that run on
	reopens    reopens
	order      ordering

	tasks    chan func()
	after    []func() // the loop's own, see later
	ctx      context.Context
	cancel   context.CancelFunc
	timer    *time.Timer
	server   *server.Server
	started  time.Time
	limits   []string
	lastBeat time.Duration
	tidy     tidy.Tidy
	files    *watchdog.FileWatcher // nil: no file is expected to change
	facts    *watchdog.Looker      // before verdicts
	lateAt   time.Duration
	late     time.Duration // of our own timer, in this turn of the loop

	config     *config.Config
	reloadOver chan struct{} // closed, and made anew, when a reload is over
	changed    []string      // services that run with a configuration of before
	leaving    []string      // services that the configuration does not have any more
	retiring   bool          // a successor stands by
	retired    bool          // we hand over
	stopping   bool          // all services are asked to stop
	giveUpAt   time.Duration // when evidence under way is left behind
	quitSent   bool
	status     int
	fatal      error
}

// Run is the life of a supervisor. It returns the status of the vigil as a
// whole; the keeper has been told of it.
func Run(o Options) (int, error) {
	// It was started from /proc/self/exe, whose name would be "exe" (proc(5)).
	_ = os.WriteFile("/proc/self/comm", []byte("vigil"), 0)
	// See the keeper: whoever reads our words may go away.
	signal.Ignore(syscall.SIGPIPE)
	s, err := newSupervisor(o)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if inCharge, err := s.begin(); err != nil || !inCharge {
		return 0, err
	}
	go s.keeper.receive(func(m protocol.Message, err error) {
		s.post(func() { s.onMessage(m, err) })
	})
	touched := append(slices.Clone(s.changed), s.leaving...)
	s.applyChanges() // first: what is new may come after what is restarted
	s.startAll()
	if s.welcome.Beginning == protocol.BeginCandidate {
		s.afterReload(touched)
	}
	s.keepOrder()
	s.loop()
	if s.retiring && !s.quitSent && s.fatal == nil {
		s.handOver()
	}
	return s.status, s.fatal
}

func newSupervisor(o Options) (*Supervisor, error) {
	link, err := newKeeperLink(o.Socket)
	if err != nil {
		return nil, err
	}
	log, ownLog, err := newLog(filepath.Join(o.StateDir, fileLog))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Supervisor{
		opt: o, log: log, ownLog: ownLog, keeper: link, services: map[string]*service{}, tracers: map[string]*tracer{},
		buffers: &logs.Buffers{}, notifies: &watchdog.Buffers{},
		tasks: make(chan func(), maxTasks), ctx: ctx, cancel: cancel,
		timer: time.NewTimer(0), started: time.Now().UTC(), lastBeat: clock.Boot(),
	}
	s.jobs.running = map[string]*job{}
	s.facts = watchdog.NewLooker()
	s.reloadOver = make(chan struct{})
	if s.store, err = store.Open(filepath.Join(o.StateDir, dirIncidents)); err != nil {
		s.noStore = err.Error()
		log.Warn("no incidents can be kept", zap.Error(err))
	}
	if o.Echo {
		if err := s.openEcho(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Supervisor) openEcho() (err error) {
	if s.stdout, err = logs.NewEcho(os.Stdout, 0); err != nil {
		return fmt.Errorf("cannot show output: %w", err)
	}
	if s.stderr, err = logs.NewEcho(os.Stderr, 0); err != nil {
		return fmt.Errorf("cannot show output: %w", err)
	}
	return nil
}

// noteLimits says what this machine or user does not allow.
func (s *Supervisor) noteLimits() {
	if s.welcome.NoCgroup != "" {
		s.limits = append(s.limits, "no cgroup of its own for a service ("+s.welcome.NoCgroup+"): its processes are found by descent, session and mark")
	}
	if s.welcome.NoReaper != "" {
		s.limits = append(s.limits, s.welcome.NoReaper)
	}
	if os.Geteuid() != 0 {
		s.limits = append(s.limits, "not root: services cannot become another user, limits and nice can only be tightened")
	}
	if s.opt.CaptureHelper == "" {
		s.limits = append(s.limits, "vigil-capture was not found (beside vigil, in PATH, or VIGIL_CAPTURE): a hang is restarted without its stacks")
	}
	if s.noStore != "" {
		s.limits = append(s.limits, "no incidents are kept: "+s.noStore)
	}
}

// serve opens the control socket.
func (s *Supervisor) serve() error {
	ln, err := server.Listen(filepath.Join(s.opt.RuntimeDir, control.SocketName))
	if err != nil {
		return err
	}
	s.server = server.Serve(net.Listener(ln), backend{s})
	return nil
}

// post hands a task to the loop, and waits while the loop has too many.
func (s *Supervisor) post(task func()) {
	select {
	case s.tasks <- task:
	case <-s.ctx.Done():
	}
}

// later runs a task of the loop's own after what it is doing now: a step of
// the state machine must not begin inside another.
func (s *Supervisor) later(task func()) { s.after = append(s.after, task) }

func (s *Supervisor) runLater() {
	for len(s.after) > 0 {
		task := s.after[0]
		s.after = s.after[1:]
		task()
	}
}

func (s *Supervisor) loop() {
	turned := clock.Boot()
	for !s.quitSent && !s.retiring && s.fatal == nil {
		due := s.next()
		s.timer.Reset(max(due-clock.Boot(), 0))
		select {
		case task := <-s.tasks:
			task()
		case <-s.timer.C:
		}
		s.runLater()
		// Whatever has come in is known before anything is judged by time.
		s.drain()
		now := clock.Boot()
		s.noteLate(now, max(due, turned))
		turned = now
		s.onTime(now)
		s.keepOrder()
		s.fault()
	}
}

func (s *Supervisor) drain() {
	for range maxTasks {
		select {
		case task := <-s.tasks:
			task()
			s.runLater()
		default:
			return
		}
	}
}

// next is when something is due; it may be over already.
func (s *Supervisor) next() time.Duration {
	next := s.lastBeat + beatEvery
	if s.order.due {
		return 0
	}
	for _, at := range []time.Duration{s.giveUpAt, s.tidy.Next(), s.recording.next} {
		if at > 0 {
			next = min(next, at)
		}
	}
	for _, v := range s.services {
		for _, at := range []time.Duration{v.next(), v.nextLate()} {
			if at > 0 {
				next = min(next, at)
			}
		}
	}
	return next
}

// lateMemory is how long a lateness is remembered: what has come meanwhile is
// still being read by others then.
const lateMemory = time.Second

// noteLate notes how late a turn is, whatever woke us: when we did not run for a
// while, the timer and what has come meanwhile are both there. A time that was
// due before the last turn counts from that.
func (s *Supervisor) noteLate(now, due time.Duration) {
	late := max(now-due, 0)
	if late >= s.late || now-s.lateAt > lateMemory {
		s.late, s.lateAt = late, now
	}
}

func (s *Supervisor) onTime(now time.Duration) {
	if now-s.lastBeat >= beatEvery {
		s.lastBeat = now
		s.check(s.keeper.send(protocol.TBeat, nil, nil, nil))
		s.noteNames(now)
		if d := s.facts.Baseline(); d > 0 {
			s.machineSuspended(d)
		}
		s.lookContinued()
	}
	for _, name := range s.names {
		s.services[name].onTime(now)
		s.services[name].lookLate(now)
	}
	s.record(now)
	s.tidy.OnTime(now)
	s.jobs.goOn(s)
	s.finishWhenDone(now)
}

// check ends the loop when the keeper cannot be reached: without it nothing can
// be done, and the keeper starts another supervisor.
func (s *Supervisor) check(err error) {
	if err != nil && s.fatal == nil {
		s.fatal = fmt.Errorf("cannot reach the keeper: %w", err)
	}
}

// random is the one source of chance.
func random() float64 { return rand.Float64() }

// stopAll is the answer to a request to end: all services end in the reverse
// order of their starts. A second one does not wait for evidence any more.
func (s *Supervisor) stopAll(why string) {
	if s.stopping {
		s.giveUpAt = clock.Boot()
		return
	}
	s.stopping = true
	s.event("", "stop", why)
	for _, name := range s.names {
		s.services[name].wantDown(order.Stop)
	}
	s.keepOrder()
}

// finishWhenDone ends vigil: when it was asked to and every service has
// stopped, or when the one service of `vigil run` is done for good.
func (s *Supervisor) finishWhenDone(now time.Duration) {
	if s.quitSent || !(s.stopping || s.opt.Run) {
		return
	}
	for _, v := range s.services {
		if !v.final() {
			return
		}
	}
	if s.opt.Run && !s.stopping && !s.allDone() {
		return
	}
	if s.giveUpAt == 0 {
		s.giveUpAt = now + shutdownGrace
	}
	if s.jobs.busy() && now < s.giveUpAt {
		return
	}
	s.quit()
}

func (s *Supervisor) allDone() bool {
	for _, v := range s.services {
		if !v.done {
			return false
		}
	}
	return true
}

func (s *Supervisor) quit() {
	s.jobs.abandonAll(s, "vigil ended before the analysis was done")
	if s.opt.Run {
		s.status = s.services[s.names[0]].exitStatus()
	}
	s.quitSent = true
	// Nobody is left to speak. After the Quit it would be too late: it is the end.
	_ = os.RemoveAll(filepath.Join(s.opt.RuntimeDir, notifyDir))
	s.check(s.keeper.send(protocol.TQuit, protocol.Quit{Status: s.status}, nil, nil))
}

// close gives back what the supervisor holds; the keeper's own copies stay.
func (s *Supervisor) close() {
	// Whoever waits for the loop is told that it has ended.
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	// Clients and files at the same time, each is waited for.
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.endServer()
	}()
	var failed error
	if s.files != nil {
		_ = s.files.Close(serverTime)
	}
	for _, v := range s.services {
		v.endProbes()
		failed = errors.Join(failed, v.close(ctx))
	}
	s.endSamples()
	s.closeOutput(ctx, failed == nil)
	<-served
	_ = s.log.Sync()
	_ = s.keeper.conn.Close()
}

// endServer tells clients that it is over. One that has connected and says
// nothing is not waited for as long as http.Server.Shutdown would.
func (s *Supervisor) endServer() {
	if s.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverTime)
	defer cancel()
	_ = s.server.Shutdown(ctx)
}

// onMessage takes what the keeper sent.
func (s *Supervisor) onMessage(m protocol.Message, err error) {
	if err != nil {
		s.check(err)
		return
	}
	if m.Type == protocol.TRetire {
		s.retiring = true
		return
	}
	if m.Type != protocol.TEvent {
		s.keeper.answered(m)
		return
	}
	var e protocol.Event
	if err := m.Into(&e); err != nil {
		m.CloseFiles()
		s.check(err)
		return
	}
	s.onEvent(e, m.Files)
	// Notes went out before this: a successor finds either the event or what
	// came of it.
	s.check(s.keeper.send(protocol.TAck, protocol.Ack{Seq: e.Seq}, nil, nil))
}

func (s *Supervisor) onEvent(e protocol.Event, fds []int) {
	files := takeChildFiles(fds, nil)
	switch e.Kind {
	case protocol.EventSignal:
		files.close()
		s.onSignal(e)
		return
	case protocol.EventReloaded, protocol.EventRefused:
		files.close()
		s.onReload(e)
		return
	}
	if s.onTracerEvent(e, files) {
		return
	}
	if s.jobs.onEvent(s, e, files) {
		return
	}
	v, ok := s.services[e.Key]
	if !ok {
		files.close()
		s.forgetStranger(e)
		return
	}
	v.onEvent(e, files)
}

// forgetStranger releases what belongs to no service of ours any more.
func (s *Supervisor) forgetStranger(e protocol.Event) {
	id := protocol.ID(e.Key, e.Inst)
	switch e.Kind {
	case protocol.EventEmpty:
		s.ask(protocol.TRelease, protocol.Name{Name: id})
	case protocol.EventExited:
		s.ask(protocol.TKill, protocol.Kill{ID: id})
	}
}

// ask sends a request whose failure only needs to be known.
func (s *Supervisor) ask(t protocol.Type, body any) {
	s.check(s.keeper.send(t, body, nil, func(m protocol.Message) {
		if _, err := replyError(m); err != nil {
			s.log.Debug("keeper refused", zap.Stringer("request", t), zap.Error(err))
		}
	}))
}
