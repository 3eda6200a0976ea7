package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/procbelong"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

func sig(n int) syscall.Signal { return syscall.Signal(n) }

// heartbeatSign is the name of the one sign of sd_notify.
const heartbeatSign = "heartbeat"

// notifyDir holds one socket for each service.
const notifyDir = "notify"

// notifyFile is the name under which the keeper keeps the socket.
func notifyFile(service string) string { return "notify/" + service }

func (v *service) socketPath() string {
	return filepath.Join(v.s.opt.RuntimeDir, notifyDir, v.cfg.Name+".sock")
}

// listen opens the notify socket, or takes over the one that the keeper kept.
// The receiver asks belongs on its own goroutine, so the members are handed
// over atomically.
func (v *service) listen() error {
	belongs, home := v.members(), v.home()
	kept := v.socket != nil
	if !kept {
		f, err := watchdog.Listen(v.socketPath())
		if err != nil {
			return err
		}
		v.socket = f
	}
	r, err := watchdog.FromFile(v.socket, watchdog.Options{
		Belongs: func(pid, pidfd int) (bool, string) {
			why := "the service has no process"
			if m := belongs.Load(); m != nil {
				var ok bool
				if ok, why = m.Belongs(pid, pidfd); ok {
					return true, ""
				}
			}
			// An instance that the keeper has just started speaks before the
			// loop has heard of it.
			return marked(home, pid), why
		},
		Deliver: func(e watchdog.Event) {
			if e.Refused == "" && e.Message.OnlyBeat() {
				v.takeBeat()
				return
			}
			v.s.post(func() { v.onDatagram(e) })
		},
		Keep:    true,
		Buffers: v.s.notifies,
	})
	if err != nil {
		return err
	}
	v.receiver = r
	if !kept {
		v.s.check(v.s.keeper.send(protocol.TPutFile, protocol.Name{Name: notifyFile(v.cfg.Name)}, []*os.File{v.socket}, nil))
	}
	return nil
}

// members is who may speak for the service; nil while it has no process.
func (v *service) members() *atomic.Pointer[procbelong.Members] { return &v.belongs }

// maxReported bounds how many refusals are told one by one.
const maxReported = 10

// onDatagram takes one sd_notify datagram.
func (v *service) onDatagram(e watchdog.Event) {
	defer e.Done()
	if e.Refused != "" {
		v.refused++
		if v.refused <= maxReported {
			v.s.event(v.cfg.Name, "refused", fmt.Sprintf("a datagram of pid %d uid %d: %s", e.PID, e.UID, e.Refused))
		}
		return
	}
	v.notified++
	m := e.Message
	v.ignored += uint64(m.Unknown + len(m.Invalid))
	for _, bad := range m.Invalid {
		if v.ignored <= maxReported {
			v.s.event(v.cfg.Name, "refused", "an assignment of sd_notify: "+bad)
		}
	}
	v.onWords(m)
	v.onSigns(m)
	v.onPhases(e.PID, m)
}

// onWords takes what only informs.
func (v *service) onWords(m wire.Message) {
	if m.Set.Has(wire.HasStatus) && m.Status != v.status {
		v.status = m.Status
		v.timeline.add(v.s.moment("status", m.Status))
	}
	if m.Set.Has(wire.HasErrno) {
		v.s.event(v.cfg.Name, "errno", "it reports "+syscall.Errno(m.Errno).Error())
	}
	if m.Set.Has(wire.HasMainPID) && m.MainPID > 0 && m.MainPID != v.started.PID {
		v.followMain(m.MainPID)
	}
}

// followMain makes another process of the service the one that counts.
func (v *service) followMain(pid int) {
	if mem := v.members().Load(); mem != nil {
		if ok, why := mem.Belongs(pid, -1); !ok {
			v.s.event(v.cfg.Name, "refused", fmt.Sprintf("MAINPID=%d: %s", pid, why))
			return
		}
	}
	v.s.event(v.cfg.Name, "main", fmt.Sprintf("its main process is pid %d now", pid))
	v.s.ask(protocol.TMain, protocol.Main{ID: v.id(), PID: pid})
	v.started.PID, v.started.Ticks = pid, 0
	if v.pidfd != nil {
		v.pidfd.Close()
		v.pidfd = nil // it was the former one's
	}
	if v.threads != nil {
		v.threads.end()
		v.watch.remove(v.threads)
		v.threads = nil
		v.armThreads()
	}
}

// onSigns takes signs of life.
func (v *service) onSigns(m wire.Message) {
	now := clock.Boot()
	if m.Set.Has(wire.HasWatchdog) {
		v.limit = m.Watchdog
		if s := v.watch.beats.Get(heartbeatSign); s != nil {
			v.onMaybe(s.SetLimit(now, m.Watchdog))
		} else {
			v.arm()
		}
	}
	if m.Set.Has(wire.HasExtend) {
		for _, verdict := range v.watch.Extend(now, m.Extend) {
			v.onVerdict(verdict)
		}
		v.step(lifecycle.Event{Kind: lifecycle.EventExtend, Extend: m.Extend})
	}
	if m.Beat {
		v.beat(now)
	}
	for _, name := range m.Beats {
		v.namedBeat(now, name)
	}
	for _, name := range m.Idles {
		v.onMaybe(v.watch.idle(now, name))
	}
	if m.Trigger {
		v.confirm(snapshot.CauseHang, "it said WATCHDOG=trigger: it found itself broken")
	}
}

// takeBeat takes a datagram that only beats, on the receiver's goroutine: any
// number of them that come while the loop is busy are one task for it.
func (v *service) takeBeat() {
	if v.beats.Add(1) > 1 {
		return
	}
	v.s.post(func() {
		v.notified += v.beats.Swap(0)
		v.beat(clock.Boot())
	})
}

// beat takes a beat, by a datagram or by a signal.
func (v *service) beat(now time.Duration) {
	if s := v.watch.beats.Get(heartbeatSign); s != nil {
		v.onMaybe(s.Beat(now))
	}
}

// namedBeat takes a beat of one activity, X_VIGIL_BEAT. It is expected from its
// first beat on, until it says that it is idle.
func (v *service) namedBeat(now time.Duration, name string) {
	if s := v.watch.beats.Get(name); s != nil {
		v.onMaybe(s.Beat(now))
		return
	}
	if v.limit == 0 || !v.isUp() {
		return // nothing is expected, or not yet
	}
	if err := v.watch.beats.Add(watchdog.NewSign(name, v.limit, v.suspectAfter(), now)); err != nil && !v.watch.full {
		v.watch.full = true
		v.s.event(v.cfg.Name, "alert", err.Error())
	}
}

func (v *service) isUp() bool {
	return v.life.State == lifecycle.Running || v.life.State == lifecycle.Suspect
}

// onPhases takes what moves the state.
func (v *service) onPhases(pid int, m wire.Message) {
	switch {
	case m.Ready && !v.isMember(pid):
		v.earlyReady = pid
	case m.Ready:
		v.step(lifecycle.Event{Kind: lifecycle.EventReady, Instance: v.life.Instance})
		v.arm()
	case m.Reloading:
		v.s.event(v.cfg.Name, "reloading", "it reads its configuration again")
	case m.Stopping:
		v.step(lifecycle.Event{Kind: lifecycle.EventStopping, Instance: v.life.Instance})
	}
}

// isMember says whether a process belongs to the instance that the loop knows.
func (v *service) isMember(pid int) bool {
	if pid == v.started.PID {
		return true
	}
	m := v.members().Load()
	if m == nil {
		return false
	}
	ok, _ := m.Belongs(pid, -1)
	return ok
}

// takeEarlyReady is for an instance that the keeper started by itself: it may have
// told that it is ready before the loop heard that it exists, for datagrams and
// the keeper's events come by different ways.
func (v *service) takeEarlyReady() {
	pid := v.earlyReady
	v.earlyReady = 0
	if pid != 0 && v.isMember(pid) {
		v.step(lifecycle.Event{Kind: lifecycle.EventReady, Instance: v.life.Instance})
	}
}

// arm begins to expect beats, once the service is up.
func (v *service) arm() {
	if v.isUp() {
		v.upProbes()
		v.keepExecutable()
	}
	v.armActivities()
	v.armGimli()
	v.armThreads()
	v.armFile()
	v.armBeats()
	v.armTracer()
}

func (v *service) armBeats() {
	if v.limit == 0 {
		v.limit = beatLimit(v.cfg)
	}
	if v.limit == 0 || !v.isUp() || v.watch.beats.Get(heartbeatSign) != nil {
		return
	}
	if err := v.watch.beats.Add(watchdog.NewSign(heartbeatSign, v.limit, v.suspectAfter(), clock.Boot())); err != nil {
		v.s.event(v.cfg.Name, "alert", err.Error())
	}
}

// beatLimit is the limit of the beats by sd_notify. A program that is linked
// with libgimli, or changes a file, beats otherwise.
func beatLimit(cfg config.Service) time.Duration {
	if cfg.Heartbeat.Gimli || cfg.Heartbeat.File != "" {
		return 0
	}
	return cfg.Heartbeat.Timeout
}

// suspectAfter is the first threshold: what is configured, or, when the service
// itself has set a limit that does not leave room for that, a share of the limit.
func (v *service) suspectAfter() time.Duration {
	if s := v.cfg.Heartbeat.Suspect; s > 0 && s < v.limit {
		return s
	}
	return v.limit * 6 / 10
}

// disarm forgets the signs of an instance that is over.
func (v *service) disarm() {
	v.threads.end()
	v.endProbes()
	v.endFile()
	v.watch, v.activities, v.threads, v.saying, v.excuses = watch{}, nil, nil, nil, excusing{}
	v.gimli = gimli{page: v.gimli.page}
	v.limit = beatLimit(v.cfg)
	v.members().Store(nil)
}

func (v *service) onMaybe(verdict watchdog.Verdict, ok bool) {
	if ok {
		v.onVerdict(verdict)
	}
}

func (v *service) onVerdicts(list []watchdog.Verdict) {
	for _, d := range list {
		v.onVerdict(d)
	}
}

// onVerdict takes a change in the judgement of a sign.
func (v *service) onVerdict(d watchdog.Verdict) {
	if d.To != watchdog.Healthy && (v.lookHeld() || v.excused(&d)) {
		return
	}
	switch d.To {
	case watchdog.Suspect:
		v.onSuspect(d)
	case watchdog.Healthy:
		v.onRecovered(d)
	case watchdog.Confirmed:
		v.confirm(d.Cause, d.Text)
	}
}

// onSuspect: something is late. Light evidence is taken, nothing is killed.
func (v *service) onSuspect(d watchdog.Verdict) {
	v.s.event(v.cfg.Name, "suspect", d.Text)
	if !v.isUp() {
		return
	}
	if v.watch.late == nil {
		v.watch.late = map[string]string{}
	}
	v.watch.late[d.Sign] = d.Text
	v.beginStall(d.Text)
	if text, ok := v.proven(d); ok {
		v.confirm(d.Cause, text)
		return
	}
	v.step(lifecycle.Event{Kind: lifecycle.EventSuspect, Instance: v.life.Instance, Cause: d.Cause, Sentence: d.Text})
}

// onRecovered: it came after all. With the last of its late signs the service is
// well again.
func (v *service) onRecovered(d watchdog.Verdict) {
	v.s.event(v.cfg.Name, "recovered", d.Text)
	delete(v.watch.late, d.Sign)
	if len(v.watch.late) > 0 {
		return
	}
	v.excuses.guard.Recovered()
	v.step(lifecycle.Event{Kind: lifecycle.EventRecovered, Instance: v.life.Instance})
	v.endStall(d.Text)
}

func (v *service) confirm(cause snapshot.Cause, text string) {
	v.s.event(v.cfg.Name, "verdict", string(cause)+": "+text)
	v.step(lifecycle.Event{Kind: lifecycle.EventConfirmed, Instance: v.life.Instance, Cause: cause, Sentence: text, Farewell: v.gimliAttached()})
}
