package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/procbelong"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// service is one service: its state (life), which only lifecycle.Step changes,
// and what the world needs around it. The loop owns it.
type service struct {
	s    *Supervisor
	cfg  config.Service
	set  lifecycle.Settings
	life lifecycle.Service

	started   protocol.Started // of the current instance; PID 0 when there is none
	startWall time.Time
	pidfd     *os.File
	exe       string
	runtime   string
	stopped   int // the signal that stopped it, 0 when it runs

	output     *logs.Output
	logDir     string // of its files; "" when there are none
	inst       *logs.Instance
	readers    []*logs.Reader
	socket     *os.File
	receiver   *watchdog.Receiver
	belongs    atomic.Pointer[procbelong.Members]
	watch      watch
	page       *watchdog.Page       // of its activities; nil: none
	activities *watchdog.Activities // nil: not judged now
	gimli      gimli                // of a program that is linked with libgimli
	recorded   recorded
	unrecorded bool         // and it has been said
	threads    *threadWatch // nil: not watched now
	file       *freshness   // nil: none is expected to change
	patterns   *watchdog.OutputPatterns
	saying     *watchdog.OutputSigns
	probes     []*probing
	unready    []string // probes that say that it is not ready
	excuses    excusing
	stall      *stall // the suspicion at present
	stalls     stalls
	limit      time.Duration // of the heartbeat, 0: none is expected

	timeline timeline
	status   string        // STATUS= of sd_notify
	beats    atomic.Uint64 // datagrams that only beat, taken and not yet told to the loop
	notified uint64        // datagrams taken
	refused  uint64
	// earlyReady is who told that it is ready before the loop knew its instance; 0:
	// nobody.
	earlyReady int
	ignored    uint64
	incident   string // id of the newest
	sentence   string // of the last end
	lastEnd    *protocol.Exit
	startFail  int      // exit code that a failed start stands for
	done       bool     // for good: `vigil run` ends
	hash       string   // of the configuration that the instance was started with
	former     *stopWay // how to stop an instance of a former configuration; nil: as configured
	leaving    bool     // not in the configuration any more: forgotten once it has stopped
	freezing   *job
	prepared   *job   // of the step under way
	stopSent   uint64 // the instance that has been sent its stop signal
	waiters    []*waiter
	limits     []string
	order      inOrder
	baseline   baseline
	kept       kept
	noted      bool // a note was found
}

func newService(s *Supervisor, cfg config.Service) (*service, error) {
	v := &service{s: s, cfg: cfg}
	v.set = lifecycle.Settings{
		Restart: cfg.Restart, WaitReady: cfg.Ready.Notify || cfg.Ready.FD != 0 || cfg.Ready.Probe != "", ReadyAfter: cfg.Ready.After,
		StartTimeout: cfg.StartTimeout, StopTimeout: cfg.StopTimeout, CaptureBudget: cfg.Capture.BudgetOf(cfg.Runtime),
		CanCapture: s.store != nil && s.opt.CaptureHelper != "", DryRun: cfg.DryRun, FirstStartFatal: s.opt.Run,
	}
	dir := cfg.Log.Directory
	if dir == "" {
		dir = filepath.Join(s.opt.StateDir, dirLogs)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		v.limits = append(v.limits, "output is not kept in a file: "+err.Error())
		dir = ""
	}
	v.logDir = dir
	prefix := ""
	if s.opt.Echo && !s.opt.Run {
		prefix = cfg.Name + " | "
	}
	var err error
	if v.patterns, err = outputPatterns(cfg.Outputs); err != nil {
		return nil, err
	}
	options := s.outputOptions(cfg, dir, prefix)
	if v.patterns != nil {
		options.Watch = v.watchOutput
	}
	v.output, err = logs.New(options)
	return v, err
}

func (v *service) id() string { return protocol.ID(v.cfg.Name, v.life.Instance) }

// step is the only way in which the state changes. The note goes out before
// anything is done: a successor knows what was meant.
func (v *service) step(ev lifecycle.Event) {
	now := clock.Boot()
	before := v.life
	v.set.Held, v.set.CaptureBudget = v.heldBack(), v.captureBudget()
	next, actions := lifecycle.Step(v.life, v.set, ev, now, random())
	v.life = next
	v.stepped(before)
	v.prepareJob(actions)
	if v.leaving && v.final() {
		v.s.later(func() { v.s.forget(v) })
	}
	if next.State != before.State || next.Instance != before.Instance || len(actions) > 0 {
		v.save()
	}
	for _, a := range actions {
		v.perform(a)
	}
	v.tellWaiters()
}

// note is what outlives a supervisor of a service.
type note struct {
	Life     lifecycle.Service `json:"life"`
	Incident string            `json:"incident,omitempty"`
	Sentence string            `json:"sentence,omitempty"`
	Limit    time.Duration     `json:"limit,omitempty"`
	Exe      string            `json:"exe,omitempty"`
	Runtime  string            `json:"runtime,omitempty"`
	Status   string            `json:"status,omitempty"`
	Done     bool              `json:"done,omitempty"`
	Hash     string            `json:"hash,omitempty"`    // of the configuration that it runs with
	LogDir   string            `json:"log_dir,omitempty"` // where its output is, for when the configuration does not know it any more
	StopSent uint64            `json:"stop_sent,omitempty"`
	Story    []snapshot.Moment `json:"story,omitempty"` // the newest of its timeline
	Order    orderNote         `json:"order,omitzero"`
}

func (v *service) save() {
	text, err := json.Marshal(note{v.life, v.incident, v.sentence, v.limit, v.exe, v.runtime, v.status, v.done, v.hash, v.logDir, v.stopSent, newest(v.timeline.list, maxServiceStory), v.orderNote()})
	if err != nil {
		v.s.log.Error("cannot encode note", zap.Error(err))
		return
	}
	v.s.ask(protocol.TPutNote, protocol.Note{Key: v.cfg.Name, Text: text})
}

// next is when the loop has to look at the service again; 0: never by time.
func (v *service) next() time.Duration {
	at := v.life.Deadline
	if sign, ok := v.watch.Next(); ok && (at == 0 || sign < at) {
		at = max(sign, 1)
	}
	if look := v.excuses.lookAt; look > 0 && (at == 0 || look < at) {
		at = look
	}
	if asked := v.gimli.due(); asked > 0 && (at == 0 || asked < at) {
		at = asked
	}
	return at
}

func (v *service) onTime(now time.Duration) {
	v.lookHold(now)
	v.onVerdicts(v.watch.Check(now))
	v.gimliOnTime(now)
	if v.life.Deadline > 0 && now >= v.life.Deadline {
		v.step(lifecycle.Event{Kind: lifecycle.EventTimer})
	}
}

// final reports whether nothing moves any more without being asked.
func (v *service) final() bool {
	return v.life.State == lifecycle.Stopped || v.life.State == lifecycle.Failed
}

// exitStatus is what `vigil run` ends with.
func (v *service) exitStatus() int {
	switch {
	case v.startFail != 0:
		return v.startFail
	case v.life.LastExit != nil:
		return shellCode(*v.life.LastExit)
	}
	return exitDone
}

// workDir is where the process was started.
func (v *service) workDir() string {
	if v.cfg.Directory != "" {
		return v.cfg.Directory
	}
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

// onEvent takes what the keeper says of this service.
func (v *service) onEvent(e protocol.Event, files childFiles) {
	switch e.Kind {
	case protocol.EventExited:
		v.onExited(e)
	case protocol.EventEmpty:
		v.step(lifecycle.Event{Kind: lifecycle.EventEmpty, Instance: e.Inst})
		v.s.ask(protocol.TRelease, protocol.Name{Name: protocol.ID(e.Key, e.Inst)})
	case protocol.EventRestarted:
		v.onRestarted(e, files)
		return
	case protocol.EventOrderFail:
		v.onOrderFailed(e)
	case protocol.EventStarted:
		v.adopt(*e.Started, files)
		v.step(lifecycle.Event{Kind: lifecycle.EventSpawned, Instance: e.Inst})
		v.takeEarlyReady()
		v.arm()
		return
	case protocol.EventStartFailed:
		v.onStartFailed(*e.Failure, fmt.Errorf("%s", e.Failure.Error))
	case protocol.EventStopped, protocol.EventContinued:
		v.onStopContinue(e)
	case protocol.EventSurvivors:
		v.s.event(v.cfg.Name, "survivors", fmt.Sprintf("killed, but not gone yet: pids %v (uninterruptible I/O?)", e.PIDs))
	}
	files.close()
}

func (v *service) onExited(e protocol.Event) {
	end := endOf(e.Exit)
	if e.Inst == v.life.Instance {
		v.lastEnd = e.Exit
		v.s.event(v.cfg.Name, "exit", fmt.Sprintf("pid %d ended with %s after %s", v.started.PID, describeEnd(end), human(e.Exit.Boot-v.started.Boot)))
		v.tellOddEnd(end)
		v.s.jobs.ended(v, e.Exit)
	}
	cause, sentence := v.endCause(end, e)
	v.step(lifecycle.Event{Kind: lifecycle.EventExited, Instance: e.Inst, Exit: end, Cause: cause, Sentence: sentence})
	if e.Inst == v.life.Instance {
		v.disarm()
	}
	v.s.instanceEnded(v.cfg.Name, e.Inst)
}

// endCause is why an instance ended, where more is known than its status, and the
// sentence that tells it.
func (v *service) endCause(end lifecycle.End, e protocol.Event) (snapshot.Cause, string) {
	sentence := v.endSentence(end, e.Exit.Boot)
	if v.life.State == lifecycle.Stopping || e.Inst != v.started.Instance && e.Kind != protocol.EventRestarted {
		return snapshot.CauseNone, sentence // the kill is our own
	}
	cause, proof := v.killerOf(end, e.Exit)
	if proof != "" {
		sentence = fmt.Sprintf("pid %d ended with %s after %s; %s", v.started.PID, describeEnd(end), human(e.Exit.Boot-v.started.Boot), proof)
	}
	return cause, sentence
}

// endSentence is the proof of an end that nobody asked for.
func (v *service) endSentence(end lifecycle.End, at time.Duration) string {
	return fmt.Sprintf("pid %d ended with %s after %s; nobody had asked", v.started.PID, describeEnd(end), human(at-v.started.Boot))
}

// onRestarted: the keeper has carried out the standing order.
func (v *service) onRestarted(e protocol.Event, files childFiles) {
	end := endOf(e.Exit)
	v.lastEnd = e.Exit
	v.disarm()
	v.s.event(v.cfg.Name, "exit", fmt.Sprintf("pid %d ended with %s after %s; started again at once as pid %d",
		v.started.PID, describeEnd(end), human(e.Exit.Boot-v.started.Boot), e.Started.PID))
	v.tellOddEnd(end)
	v.s.jobs.ended(v, e.Exit)
	cause, sentence := v.endCause(end, e)
	v.step(lifecycle.Event{Kind: lifecycle.EventAgain, Instance: e.Inst, Exit: end, Cause: cause, Sentence: sentence})
	v.s.ask(protocol.TRelease, protocol.Name{Name: protocol.ID(e.Key, e.Inst)})
	v.adopt(*e.Started, files)
	v.takeBaseline(v.started.PID)
	v.takeEarlyReady()
	v.arm()
}

func (v *service) onOrderFailed(e protocol.Event) {
	v.lastEnd = e.Exit
	v.disarm()
	v.step(lifecycle.Event{Kind: lifecycle.EventAgainFailed, Instance: e.Inst, Exit: endOf(e.Exit), Sentence: v.endSentence(endOf(e.Exit), e.Exit.Boot), Err: e.Failure.Error})
	v.s.ask(protocol.TRelease, protocol.Name{Name: protocol.ID(e.Key, e.Inst)})
}

// adopt takes over a process that runs: its descriptors, its output.
func (v *service) adopt(st protocol.Started, files childFiles) {
	if v.pidfd != nil && v.started.Instance == st.Instance && v.started.PID == st.PID {
		// Recovered already; an event tells of it once more.
		files.close()
		v.setMembers()
		return
	}
	v.started, v.startWall = st, time.Now().Add(st.Boot-clock.Boot()).Truncate(time.Second)
	v.stopped, v.status = 0, ""
	if v.pidfd != nil {
		v.pidfd.Close()
	}
	v.pidfd = files.pidfd
	v.s.tidy.Worked(clock.Boot())
	v.s.reopens.lookSoon(clock.Boot())
	v.inst = v.output.Begin()
	v.readers = nil
	for _, one := range []struct {
		stream logs.Stream
		f      *os.File
	}{{logs.Stdout, files.out}, {logs.Stderr, files.err}} {
		if one.f == nil {
			continue
		}
		r, err := v.inst.Read(one.stream, one.f)
		one.f.Close()
		if err != nil {
			v.s.event(v.cfg.Name, "alert", "cannot read output: "+err.Error())
			continue
		}
		v.readers = append(v.readers, r)
	}
	v.setMembers()
	v.armProbes()
}

// setMembers tells the receiver of datagrams who may speak for the service.
func (v *service) setMembers() {
	members := procbelong.Tree(v.started.PID)
	if v.started.Cgroup != "" {
		if m, err := procbelong.Cgroup(v.started.Cgroup); err == nil {
			members = m
		}
	}
	v.members().Store(&members)
}

// onStopContinue: a process that an operator has stopped gives no beats, and is
// not to blame.
func (v *service) onStopContinue(e protocol.Event) {
	if e.Inst != v.life.Instance {
		return
	}
	if e.Kind == protocol.EventStopped && v.gimliStopped(e.Number) {
		return
	}
	if e.Kind == protocol.EventStopped {
		v.stopped = e.Number
		v.watch.Suspend()
		v.s.event(v.cfg.Name, "stopped", "somebody stopped it ("+signals.Name(sig(e.Number))+"): beats are not judged until it continues")
		return
	}
	if v.stopped == 0 {
		return
	}
	v.stopped = 0
	v.judgeAnew()
	v.s.event(v.cfg.Name, "continued", "it runs on")
}

func (v *service) close(ctx context.Context) error {
	if v.receiver != nil {
		_ = v.receiver.Close()
	}
	for _, r := range v.readers {
		_ = r.Close()
	}
	for _, r := range v.readers {
		select {
		case <-r.Done():
		case <-ctx.Done():
		}
	}
	return v.output.Close(ctx)
}

// captureBudget bounds what a capture may hold up the restart.
func (v *service) captureBudget() time.Duration { return v.cfg.Capture.BudgetOf(v.runtime) }
