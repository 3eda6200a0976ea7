package supervisor

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// A program that is linked with libgimli beats in 8 bytes of shared memory, and
// has handlers of five fault signals. At a fault such a handler takes the
// signal's disposition back to the default, sends SIGUSR2 to its parent, which
// is the keeper, and stops itself. It expects that its stacks are taken, and then
// SIGCONT. It winds up by a function of the program's own and dies by the signal
// that it got. A program that hangs is sent SIGABRT and goes the same way, with
// one more stop. docs/gimli.md is the contract.

// gimli is what is known of the instance that runs.
type gimli struct {
	page    *watchdog.GimliPage // nil: it is not such a program
	judge   *watchdog.Gimli     // nil: not judged now
	asked   time.Duration       // CLOCK_BOOTTIME of a SIGUSR2 whose stop has not been seen; 0: none
	ask     protocol.Event      // that signal
	checked bool                // who has attached
	early   uint64              // instance that has beaten before we were told of its start; 0: none
}

// askPatience is how long the stop that belongs to a SIGUSR2 may take: it is the
// program's next system call.
const askPatience = time.Second

// due is when a SIGUSR2 is known not to be of a fault; 0: none waits.
func (g *gimli) due() time.Duration {
	if g.asked == 0 {
		return 0
	}
	return g.asked + askPatience
}

// gimliFile is the name under which the keeper keeps the segment.
func gimliFile(service string) string { return "gimli/" + service }

// giveGimli makes the segment of the instance that is about to start. One that
// cannot be had costs the watching, not the service.
func (v *service) giveGimli(start *protocol.Start) {
	had := v.gimli.page != nil
	v.dropGimli()
	if !v.cfg.Heartbeat.Gimli {
		if had {
			v.s.ask(protocol.TDropFile, protocol.Name{Name: gimliFile(v.cfg.Name)})
		}
		return
	}
	f, err := watchdog.NewGimliPage()
	if err == nil {
		v.gimli.page, err = watchdog.MapGimliPage(f)
		if err == nil {
			v.s.check(v.s.keeper.send(protocol.TPutFile, protocol.Name{Name: gimliFile(v.cfg.Name)}, []*os.File{f}, nil))
		}
		_ = f.Close()
	}
	if err != nil {
		v.s.event(v.cfg.Name, "alert", "it is not watched: "+err.Error())
		return
	}
	start.Env = append(start.Env, fmt.Sprintf("%s=%d", wire.GimliFD, firstExtra+start.Passed+len(start.Files)),
		fmt.Sprintf("%s=%d", wire.GimliMonitor, v.s.welcome.KeeperPID))
	start.Files = append(start.Files, gimliFile(v.cfg.Name))
	start.Wipe = append(start.Wipe, protocol.Wipe{Name: gimliFile(v.cfg.Name)})
}

// recoverGimli takes over the segment that the keeper has kept, or, where that
// keeper is gone too, the one that the program has mapped.
func (v *service) recoverGimli(f *os.File, pid int) {
	if f == nil {
		if f = v.recoverMapped(pid, watchdog.GimliPageName, gimliFile(v.cfg.Name), v.cfg.Heartbeat.Gimli); f == nil {
			return
		}
	}
	defer f.Close()
	page, err := watchdog.MapGimliPage(f)
	if err != nil {
		v.s.event(v.cfg.Name, "alert", "it is not watched: "+err.Error())
		return
	}
	v.gimli.page = page
}

func (v *service) dropGimli() {
	if v.gimli.page == nil {
		return
	}
	v.watch.remove(v.gimli.judge)
	_ = v.gimli.page.Close()
	v.gimli = gimli{}
}

// armGimli begins to judge the heartbeat. The start has a limit of its own, so
// it does not wait until the service is up.
func (v *service) armGimli() {
	if v.gimli.page == nil || v.gimli.judge != nil || !v.runs() {
		return
	}
	v.gimli.judge = watchdog.NewGimli(v.gimli.page, watchdog.GimliOptions{
		Starting: v.cfg.StartTimeout, Running: v.cfg.Heartbeat.Timeout, Stopping: v.cfg.StopTimeout, Share: v.suspectShare(),
	})
	v.watch.others = append(v.watch.others, v.gimli.judge)
	v.onVerdicts(v.gimli.judge.Check(clock.Boot()))
	if v.gimli.early == v.life.Instance {
		v.gimli.early = 0
		v.onVerdicts(v.gimli.judge.Beat(clock.Boot()))
	}
}

// runs reports whether the instance has a process, and nobody is about to end it.
func (v *service) runs() bool {
	return v.life.Alive && (v.isUp() || v.life.State == lifecycle.Starting)
}

// gimliAttached reports whether the program has its handlers: it can end by
// itself after a fault.
func (v *service) gimliAttached() bool {
	return v.gimli.judge != nil && v.gimli.judge.Attached()
}

// gimliBeat takes a beat by SIGUSR1.
func (v *service) gimliBeat() bool {
	if v.gimli.page == nil {
		return false
	}
	if v.gimli.judge == nil {
		v.gimli.early = v.life.Instance
		return true
	}
	v.onVerdicts(v.gimli.judge.Beat(clock.Boot()))
	return true
}

// gimliAsks takes a SIGUSR2 of the service, and reports whether it is one of
// libgimli. The signal comes before the stop, or after it, or not at all when two
// programs fault together: so nothing is done before a stop is seen.
func (v *service) gimliAsks(e protocol.Event) bool {
	if v.gimli.page == nil {
		return false
	}
	if v.life.State != lifecycle.Freezing && !v.life.Farewell {
		v.gimli.asked, v.gimli.ask = clock.Boot(), e
	}
	return true
}

// gimliStopped takes a stop, and reports whether it was the program's own, at a
// fault. An operator can stop it, too: then no handler is at work in it.
func (v *service) gimliStopped(number int) bool {
	if v.gimli.page == nil || number != int(unix.SIGSTOP) {
		return false
	}
	if v.stopped == number && !v.life.Farewell {
		return true // told twice
	}
	if v.life.State == lifecycle.Freezing || v.life.Farewell {
		// Its next round: after an ABRT of ours, or a fault while it winds up.
		v.stopped = number
		v.watch.Suspend()
		if v.life.State == lifecycle.Stopping {
			v.letGo()
		}
		return true
	}
	signal, inHandler := faultOf(v.started.PID)
	if !inHandler && v.gimli.asked == 0 {
		return false
	}
	v.stopped = number
	v.watch.Suspend()
	v.fault(signal)
	return true
}

// faulted reports whether the program waits at a fault, which its stop is about
// to tell.
func (v *service) faulted() bool {
	if v.gimli.page == nil {
		return false
	}
	_, inHandler := faultOf(v.started.PID)
	return inHandler
}

// fault: the program has got a signal that ends it, and waits for us to look.
func (v *service) fault(signal string) {
	v.gimli.asked = 0
	text := "it got a fault signal"
	if signal != "" {
		text = "it got " + signal
	}
	text += " and stopped itself to be looked at (libgimli)"
	if v.life.State == lifecycle.Stopping {
		v.s.event(v.cfg.Name, "verdict", string(snapshot.CauseCrash)+": "+text+", while it was stopping")
		v.faultEvidence(v.started.PID, text, protocol.ScopeMain)
		return
	}
	v.confirm(snapshot.CauseCrash, text)
	if v.life.State != lifecycle.Freezing && v.life.State != lifecycle.Stopping {
		v.letGo() // a dry run: it ends by itself
	}
}

// faultEvidence takes the stacks of a process that waits for that, and lets it go
// on. What becomes of the service is decided elsewhere.
func (v *service) faultEvidence(pid int, text string, scope protocol.Scope) {
	goOn := func() {
		v.s.ask(protocol.TSignal, protocol.Signal{ID: v.id(), Number: int(unix.SIGCONT), Scope: scope})
	}
	if !v.set.CanCapture {
		goOn()
		return
	}
	j := v.newJob(lifecycle.Action{Kind: lifecycle.ActionCapture, Cause: snapshot.CauseCrash, Sentence: text})
	if pid != v.started.PID {
		j.pid, j.ticks, j.pidfd, j.incident.PID = pid, 0, nil, pid
	}
	j.onFree = func(failure string) {
		if failure != "" {
			v.s.event(v.cfg.Name, "alert", "the capture failed: "+failure)
		}
		goOn()
	}
	j.freeze()
}

// letGo continues a program whose stop has been seen.
func (v *service) letGo() {
	v.s.ask(protocol.TSignal, protocol.Signal{ID: v.id(), Number: int(unix.SIGCONT), Scope: protocol.ScopeMain})
}

// farewell has a program end by itself: one that waits at its fault goes on, one
// that hangs is sent ABRT, on which it asks again and is let go.
func (v *service) farewell() {
	if v.stopped != 0 {
		v.s.event(v.cfg.Name, "signal", "sent CONT by vigil: it may end by itself (libgimli)")
		v.letGo()
	} else {
		v.s.event(v.cfg.Name, "signal", "sent ABRT by vigil: it is to end by itself (libgimli)")
		v.s.ask(protocol.TSignal, protocol.Signal{ID: v.id(), Number: int(unix.SIGABRT), Scope: protocol.ScopeMain})
	}
	// Noted after the act, as a stop signal is.
	v.stopSent = v.life.Instance
	v.save()
}

// recoverFarewell goes on where a former supervisor was killed.
func (v *service) recoverFarewell(c recoveredChild) {
	if v.gimli.page == nil || c.Exit != nil || !v.life.Alive {
		return
	}
	v.s.later(func() {
		switch {
		case v.stopped != 0:
			number := v.stopped
			v.stopped = 0
			if !v.gimliStopped(number) {
				v.stopped = number
			}
		case v.life.State == lifecycle.Stopping && v.life.Farewell && v.stopSent != v.life.Instance:
			v.farewell()
		}
	})
}

// gimliOnTime looks after what only time tells.
func (v *service) gimliOnTime(now time.Duration) {
	if v.gimli.page == nil {
		return
	}
	if !v.gimli.checked && v.gimliAttached() {
		v.gimli.checked = true
		v.checkAttached()
	}
	if at := v.gimli.due(); at > 0 && now >= at {
		v.noStopSeen()
	}
}

// noStopSeen: a SIGUSR2 came, and no stop of the main process. Either another
// process of the service has faulted, or somebody asks for a snapshot.
func (v *service) noStopSeen() {
	ask, instance := v.gimli.ask, v.life.Instance
	v.gimli.asked = 0
	if !v.life.Alive {
		return
	}
	members := v.members().Load()
	main := v.started.PID
	go func() {
		stopped := stoppedMembers(members)
		v.s.post(func() {
			if v.life.Instance == instance && v.life.Alive {
				v.onStoppedMembers(main, stopped, ask)
			}
		})
	}()
}

func (v *service) onStoppedMembers(main int, stopped []int, ask protocol.Event) {
	if len(stopped) == 0 {
		v.s.snapshotOf([]string{v.cfg.Name}, ask)
		return
	}
	for _, pid := range stopped {
		if pid == main { // of a service that the keeper has adopted nobody tells a stop
			v.gimli.asked = clock.Boot()
			v.onStopContinue(protocol.Event{Kind: protocol.EventStopped, Inst: v.life.Instance, Number: int(unix.SIGSTOP)})
			continue
		}
		text := fmt.Sprintf("pid %d of its tree stopped itself to be looked at (libgimli); it is not the main process", pid)
		v.s.event(v.cfg.Name, "alert", text+": it is continued with the process group, and what follows is for the service to see to")
		v.faultEvidence(pid, text, protocol.ScopeGroup)
	}
}

// tellOddEnd explains an end that libgimli's way of asking has to do with: of a
// shell that it took for its monitor, and of a program whose other threads ran on
// to the end while the stop was on its way.
func (v *service) tellOddEnd(end lifecycle.End) {
	switch {
	case v.gimli.page == nil:
	case v.gimli.asked != 0 && end.Signal != 0:
		v.s.event(v.cfg.Name, "alert", "it asked to be looked at (libgimli), and ended before it had stopped: there are no stacks of its fault")
	case syscall.Signal(end.Signal) == unix.SIGUSR2:
		v.s.event(v.cfg.Name, "alert", fmt.Sprintf("pid %d was ended by %s: a process below it got a fault, and libgimli takes its parent for its monitor; "+
			"start the program itself, or by exec, and it is captured", v.started.PID, signals.Name(unix.SIGUSR2)))
	}
}
