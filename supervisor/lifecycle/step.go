package lifecycle

import (
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Step takes the service through one event. rnd is in [0,1) and makes the
// jitter. Same arguments, same results.
func Step(s Service, set Settings, ev Event, now time.Duration, rnd float64) (Service, []Action) {
	if s.State >= stateCount || ev.Kind >= eventCount {
		return s, nil
	}
	if aboutProcess(ev.Kind) && ev.Instance != s.Instance {
		return s, nil
	}
	if ev.Kind == EventTimer && (s.Deadline == 0 || now < s.Deadline) {
		return s, nil // it was set for a deadline that has moved since
	}
	t := &turn{s: s, set: set, ev: ev, now: now, rnd: rnd}
	if cell := table[s.State][ev.Kind]; cell.do != nil {
		cell.do(t)
	}
	return t.s, t.actions
}

// aboutProcess reports whether an event tells of one instance's process.
func aboutProcess(k EventKind) bool {
	switch k {
	case EventStart, EventStop, EventRestart, EventTimer, EventExtend, EventGate:
		return false
	}
	return true
}

// turn is one step under way.
type turn struct {
	s       Service
	set     Settings
	ev      Event
	now     time.Duration
	rnd     float64
	actions []Action
}

func (t *turn) act(a Action) {
	if a.Instance == 0 {
		a.Instance = t.s.Instance
	}
	t.actions = append(t.actions, a)
}

// to changes the state. Whoever calls it sets the deadline afterwards.
func (t *turn) to(st State, format string, args ...any) {
	if t.s.State != st {
		t.s.State, t.s.Since = st, t.now
	}
	t.s.Deadline = 0
	text := st.String()
	if format != "" {
		text += ": " + fmt.Sprintf(format, args...)
	}
	t.act(Action{Kind: ActionAnnounce, Text: text})
}

func (t *turn) due(d time.Duration) {
	if d > 0 {
		t.s.Deadline = t.now + d
	}
}

// spawn starts the next instance, or has it wait until it may be.
func (t *turn) spawn(why string) {
	if t.set.Held != "" {
		t.s.Asked, t.s.Once, t.s.Ready = false, false, false
		t.to(Waiting, "%s", t.set.Held)
		return
	}
	t.begin()
	t.s.Pending = true
	t.s.Again = restart.Immediate(t.set.Restart, t.s.History, t.now)
	t.to(Starting, "%s", why)
	t.due(spawnPatience)
	t.act(Action{Kind: ActionSpawn, Again: t.s.Again})
}

// begin counts up to the next instance and forgets what was true of the last.
func (t *turn) begin() {
	t.s.Instance++
	t.s.Pending, t.s.Alive, t.s.Tree, t.s.StartedAt = false, false, true, t.now
	t.s.Ready, t.s.WasReady, t.s.HealthyAt, t.s.Announced = false, false, 0, false
	t.s.Asked, t.s.Once, t.s.EndTold, t.s.Hopeless, t.s.Farewell, t.s.Unheard = false, false, false, false, false, false
}

// start is an operator's start: the past is forgiven.
func (t *turn) start() {
	t.s.Up, t.s.History = true, restart.History{}
	t.spawn("asked for")
}

// wantUpAsked: it is on its way; but if that start was to be undone, there
// shall be another after it.
func (t *turn) wantUpAsked() {
	t.s.Up = true
	if t.s.Asked {
		t.s.Once = true
	}
}

// spawned: the program runs.
func (t *turn) spawned() {
	t.s.Pending, t.s.Alive, t.s.StartedAt = false, true, t.now
	if !t.s.Up || t.s.Asked {
		t.beginStop("asked for while it was starting")
		return
	}
	t.s.Deadline = 0
	if t.set.Held != "" {
		t.withdraw()
	}
	t.awaitReady()
}

// release: what it waited for may have come.
func (t *turn) release() {
	if t.set.Held == "" {
		t.spawn("what it waited for is there")
	}
}

// gate: the keeper must not start it again at once while it is held. An answer
// that is under way is awaited: spawned looks again.
func (t *turn) gate() {
	switch {
	case t.s.Pending || t.s.Asked:
	case t.set.Held != "":
		t.withdraw()
	default:
		t.order()
	}
}

// order has the keeper start it again at once, if the policy would do that.
func (t *turn) order() {
	if !t.s.Again && t.set.Held == "" && restart.Immediate(t.set.Restart, t.s.History, t.now) {
		t.s.Again = true
		t.act(Action{Kind: ActionOrder, Again: true})
	}
}

// awaitReady waits for what the configuration takes for ready.
func (t *turn) awaitReady() {
	switch {
	case t.s.Ready:
		t.up("it was ready before the answer to its start came")
	case t.set.WaitReady:
		t.due(t.set.StartTimeout)
	case t.set.ReadyAfter > 0:
		t.due(t.set.ReadyAfter)
	default:
		t.up("it is started")
	}
}

// up: it serves. The deadline is when it counts as healthy again.
func (t *turn) up(why string) {
	t.s.Ready, t.s.WasReady, t.s.GoodTry, t.s.HealthyAt = true, true, true, t.now
	t.to(Running, "%s", why)
	t.due(t.set.Restart.ResetAfter)
}

// ready may come before the answer to the start, since the two come on different
// descriptors; then it is kept, and spawned goes on with it.
func (t *turn) ready() {
	if t.s.Pending {
		t.s.Ready = true
		return
	}
	t.up("it says that it is ready")
}

// spawnFailed: there is no process and no tree.
func (t *turn) spawnFailed() {
	t.s.Pending, t.s.Alive, t.s.Tree, t.s.Again = false, false, false, false
	t.s.Cause, t.s.Sentence = snapshot.CauseStartFailed, t.ev.Err
	t.s.Hopeless = t.ev.Fatal && t.set.FirstStartFatal && !t.s.GoodTry
	t.over()
}

// exited: the main process has ended.
func (t *turn) exited() {
	end := t.ev.Exit
	t.s.LastExit, t.s.Pending, t.s.Alive, t.s.Ready, t.s.Again = &end, false, false, false, false
	switch t.s.State {
	case Stopping, Freezing:
		if t.s.Farewell && t.s.State == Stopping {
			t.evidence() // where none could be taken before
		}
	default:
		t.s.Cause, t.s.Sentence = causeOf(t.ev), t.ev.Sentence
		t.evidence()
		t.to(Stopping, "%s", t.ev.Sentence)
	}
	if t.s.State == Freezing {
		return // the evidence is still being taken; its answer goes on
	}
	t.endTree()
}

// endTree kills what is left; when nothing is, the instance is over.
func (t *turn) endTree() {
	if t.gone() {
		t.over()
		return
	}
	t.act(Action{Kind: ActionKillTree})
	t.due(killRepeat)
}

// evidence asks, once for each end, for what it leaves behind.
func (t *turn) evidence() {
	if !t.s.EndTold {
		t.s.EndTold = true
		t.act(Action{Kind: ActionEvidence, Cause: t.s.Cause, Sentence: t.s.Sentence})
	}
}

// empty: the tree is gone; with the main process that is the end.
func (t *turn) empty() {
	t.s.Tree = false
	if t.s.Alive || t.s.Pending {
		return // its exit is still to be told
	}
	if t.s.State == Stopping {
		t.over()
	}
}

// over: the instance is no more. What follows is read from what is wanted.
func (t *turn) over() {
	asked := t.s.Asked || !t.s.Up
	if asked {
		if !t.s.EndTold {
			t.s.Cause, t.s.Sentence = snapshot.CauseRequested, ""
		}
		t.s.History = restart.History{}
	}
	switch {
	case t.s.Up && (t.s.Once || asked):
		t.spawn("the former instance is gone")
	case !t.s.Up:
		t.to(Stopped, "")
		t.act(Action{Kind: ActionDone})
	case t.s.Hopeless:
		t.fail("it cannot be started: " + t.s.Sentence)
	default:
		t.decide()
	}
}

// decide lets the policy speak about an end that nobody asked for.
func (t *turn) decide() {
	d := t.judge()
	switch {
	case d.GiveUp:
		t.fail(d.Reason)
	case !d.Restart:
		t.s.Up = false
		t.to(Stopped, "%s", d.Reason)
		t.act(Action{Kind: ActionDone})
	case d.Delay <= 0:
		t.s.Restarts++
		t.spawn("the former instance is gone; " + d.Reason)
	default:
		t.to(Backoff, "%s; again in %s", t.s.Sentence, d.Delay.Round(time.Millisecond))
		t.due(d.Delay)
	}
}

func (t *turn) fail(reason string) {
	t.to(Failed, "%s", reason)
	t.act(Action{Kind: ActionAlert, Text: "gave up: " + reason})
	t.act(Action{Kind: ActionDone})
}

// judge asks the policy about this end and keeps its history.
func (t *turn) judge() restart.Decision {
	end := restart.End{Healthy: t.s.WasReady, Failed: true}
	if t.s.HealthyAt > 0 {
		end.Uptime = t.now - t.s.HealthyAt
	}
	if e := t.s.LastExit; e != nil && t.s.Cause == snapshot.CauseExit && e.Code == 0 && e.Signal == 0 {
		end.Failed = false
	}
	d, h := restart.Decide(t.set.Restart, t.s.History, end, t.now, t.rnd)
	t.s.History = h
	return d
}

// again: the keeper has started the next instance by itself. ev.Instance is the
// old one. It may come when an end is under way already, for the death was
// quicker than the withdrawn order. Then the new instance is kept if the service
// is to be up: it fulfils a Restart too, and a verdict was about the old one.
func (t *turn) again() {
	end := t.ev.Exit
	t.s.LastExit = &end
	t.s.Cause, t.s.Sentence = causeOf(t.ev), t.ev.Sentence
	t.evidence()
	t.judge()
	t.begin()
	t.s.Restarts++
	t.s.Alive, t.s.Again = true, false
	if !t.s.Up {
		t.beginStop("asked for while it was started again")
		return
	}
	t.to(Starting, "again at once, by the keeper")
	t.awaitReady()
}

// againFailed: the old instance is gone and no new one came.
func (t *turn) againFailed() {
	end := t.ev.Exit
	t.s.LastExit = &end
	t.s.Pending, t.s.Alive, t.s.Tree, t.s.Again, t.s.Ready = false, false, false, false, false
	t.s.Cause, t.s.Sentence = causeOf(t.ev), t.ev.Sentence
	t.evidence()
	t.s.Cause, t.s.Sentence = snapshot.CauseStartFailed, t.ev.Err
	t.over()
}

// stop is an operator's stop of something that runs.
func (t *turn) stop() {
	t.s.Up, t.s.Once = false, false
	t.askedEnd("asked for")
}

// restart is an operator's restart of something that runs.
func (t *turn) restart() {
	t.s.Up, t.s.Once = true, true
	t.askedEnd("a restart was asked for")
}

func (t *turn) askedEnd(why string) {
	t.s.Asked = true
	if t.s.Pending {
		t.act(Action{Kind: ActionAnnounce, Text: "stopping as soon as the start is answered"})
		return // spawned and spawnFailed go on with it
	}
	t.beginStop(why)
}

// beginStop asks the process to end, and gives it its time.
func (t *turn) beginStop(why string) {
	t.s.Asked = true
	t.withdraw()
	t.s.Ready = false
	t.to(Stopping, "%s", why)
	t.act(Action{Kind: ActionSuspendBeats})
	t.act(Action{Kind: ActionStopSignal})
	t.due(max(t.set.StopTimeout, time.Millisecond))
}

func (t *turn) withdraw() {
	if t.s.Again {
		t.s.Again = false
		t.act(Action{Kind: ActionOrder, Again: false})
	}
}

// stopLater: the wish is kept; what is under way goes on first.
func (t *turn) stopLater() {
	t.s.Up, t.s.Once, t.s.Asked = false, false, true
}

// restartLater likewise.
func (t *turn) restartLater() {
	t.s.Up, t.s.Once = true, true
}

// down: nothing runs, nothing will.
func (t *turn) down() {
	t.s.Up, t.s.Once = false, false
	t.to(Stopped, "asked for")
	t.act(Action{Kind: ActionDone})
}

// forget is a stop of what is down already.
func (t *turn) forget() { t.s.Up = false }

// kill: the time to end by itself is over.
func (t *turn) kill() {
	if t.s.Alive && (t.s.Asked || t.s.Farewell) {
		t.act(Action{Kind: ActionAnnounce, Text: "stopping: its time is over; killing it and all that it started"})
	}
	t.endTree()
}

// gone reports whether nothing of the instance is left to be told about.
func (t *turn) gone() bool { return !t.s.Alive && !t.s.Tree && !t.s.Pending }

// suspect: late, but not dead.
func (t *turn) suspect() { t.keepDeadline(Suspect, t.ev.Sentence) }

// recovered: it was only late.
func (t *turn) recovered() { t.keepDeadline(Running, "it gave a sign of life again") }

func (t *turn) keepDeadline(st State, why string) {
	at := t.s.Deadline
	t.to(st, "%s", why)
	t.s.Deadline = at
}

// confirmed: it is dead or stuck. First the evidence, then the end.
func (t *turn) confirmed() {
	if t.s.Pending {
		return // about nothing: there is no process yet
	}
	t.verdict(t.ev.Cause, t.ev.Sentence)
}

// verdict condemns it, or only says so.
func (t *turn) verdict(cause snapshot.Cause, sentence string) {
	if t.set.DryRun {
		t.act(Action{Kind: ActionAlert, Text: fmt.Sprintf("dry run: would capture and restart it now (%s: %s)", cause, sentence)})
		return
	}
	t.condemn(cause, sentence)
}

func (t *turn) condemn(cause snapshot.Cause, sentence string) {
	t.s.Cause, t.s.Sentence, t.s.Ready, t.s.Farewell = cause, sentence, false, t.ev.Farewell
	t.withdraw()
	t.act(Action{Kind: ActionSuspendBeats})
	if t.set.CanCapture {
		t.s.EndTold = true
		t.to(Freezing, "%s: %s", cause, sentence)
		t.act(Action{Kind: ActionCapture, Cause: cause, Sentence: sentence})
		t.due(t.set.CaptureBudget + captureMargin)
		return
	}
	if t.s.Farewell {
		t.farewell(fmt.Sprintf("%s: %s", cause, sentence))
		return
	}
	t.evidence()
	t.endNow("%s: %s", cause, sentence)
}

// farewell lets it end by itself: it has the time of a stop.
func (t *turn) farewell(why string) {
	t.to(Stopping, "%s; it has %s to end by itself", why, t.set.StopTimeout)
	t.act(Action{Kind: ActionFarewell})
	t.due(max(t.set.StopTimeout, time.Millisecond))
}

// endNow kills the tree without asking.
func (t *turn) endNow(format string, args ...any) {
	t.to(Stopping, format, args...)
	t.endTree()
}

// captured: the process may go.
func (t *turn) captured() { t.afterEvidence("the evidence is taken") }

// captureLate: a restart never waits for a capture beyond its budget.
func (t *turn) captureLate() { t.afterEvidence("the capture took longer than its budget allows") }

func (t *turn) afterEvidence(why string) {
	if t.s.Farewell && t.s.Alive {
		t.farewell(why)
		return
	}
	t.endNow("%s", why)
}

// startTimer: the start took too long, in one way or another.
func (t *turn) startTimer() {
	switch {
	case t.s.Pending:
		// The program is still on its way into memory; the keeper will say.
		t.act(Action{Kind: ActionAlert, Text: "the start has no answer yet (a slow or dead file system?)"})
		t.due(spawnPatience)
	case t.set.WaitReady && t.s.Unheard:
		t.up(fmt.Sprintf("it has lived for %s, and may have told that it is ready while nobody could hear it", t.set.StartTimeout))
	case t.set.WaitReady:
		t.s.Deadline = 0 // a dry run waits on
		t.verdict(snapshot.CauseStartTimeout, fmt.Sprintf("not ready after %s", t.set.StartTimeout))
	default:
		t.up(fmt.Sprintf("it has lived for %s", t.set.ReadyAfter))
	}
}

// upTimer: an announced stop that did not come, or healthy time.
func (t *turn) upTimer() {
	t.s.Deadline = 0
	if t.s.Announced {
		t.s.Announced = false
		t.act(Action{Kind: ActionAnnounce, Text: "it said that it was about to end and did not; its beats are judged again"})
		t.act(Action{Kind: ActionResumeBeats})
	}
	if left := t.s.HealthyAt + t.set.Restart.ResetAfter - t.now; left > 0 {
		t.due(left)
		return
	}
	t.settle()
}

// settle: it has been up for long enough that the past is forgotten.
func (t *turn) settle() {
	if t.set.Restart.ResetAfter <= 0 {
		return
	}
	t.s.History = t.s.History.Settle()
	t.order()
}

// retry: the back-off is over.
func (t *turn) retry() {
	t.s.Restarts++
	t.spawn("the back-off is over")
}

// extend moves the deadline of a start or a stop.
func (t *turn) extend() {
	if t.s.Deadline > 0 && !t.s.Pending {
		t.s.Deadline = max(t.s.Deadline, t.now+t.ev.Extend)
	}
}

// extendAnnounced moves the deadline of a stop that was announced. Healthy time
// is not for the service to move.
func (t *turn) extendAnnounced() {
	if t.s.Announced {
		t.extend()
	}
}

// announced: it ends by itself. Nobody asked, so the policy will speak; but it
// is given the time of a stop, and no beat is missed meanwhile.
func (t *turn) announced() {
	if t.s.Announced {
		return
	}
	t.s.Announced = true
	t.s.Deadline = 0
	t.due(max(t.set.StopTimeout, time.Millisecond))
	t.act(Action{Kind: ActionSuspendBeats})
	t.act(Action{Kind: ActionAnnounce, Text: "it says that it is about to end"})
}

// announcedEarly: a start has its own limit, which goes on.
func (t *turn) announcedEarly() {
	t.act(Action{Kind: ActionAnnounce, Text: "it says that it is about to end, before it was up"})
}
