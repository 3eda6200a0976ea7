package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// perform carries out one action of the state machine.
func (v *service) perform(a lifecycle.Action) {
	switch a.Kind {
	case lifecycle.ActionSpawn:
		v.spawn(a.Again)
	case lifecycle.ActionStopSignal:
		v.endTracer(v.sendStop)
	case lifecycle.ActionKillTree:
		v.noteKill()
		v.s.ask(protocol.TKill, protocol.Kill{ID: v.id(), Spare: v.twins()})
	case lifecycle.ActionOrder:
		v.s.ask(protocol.TOrder, protocol.Order{ID: v.id(), Again: a.Again && v.mayOrder()})
	case lifecycle.ActionCapture:
		v.capture(a)
	case lifecycle.ActionEvidence:
		v.sentence = string(a.Cause) + ": " + a.Sentence
		v.takeJob().evidence()
	case lifecycle.ActionSuspendBeats:
		v.watch.Suspend()
	case lifecycle.ActionResumeBeats:
		v.resumeBeats()
	case lifecycle.ActionAnnounce:
		v.s.event(v.cfg.Name, "state", a.Text)
	case lifecycle.ActionAlert:
		v.s.event(v.cfg.Name, "alert", a.Text)
	case lifecycle.ActionFarewell:
		v.farewell()
	case lifecycle.ActionDone:
		v.done = true
		v.save()
	}
}

// mayOrder reports whether the keeper may start the service by itself: it cannot
// make the pipe on which readiness is told.
func (v *service) mayOrder() bool { return v.cfg.Ready.FD == 0 }

// resumeBeats judges beats again, unless an operator holds the process. What
// that finds is judged after the step under way.
func (v *service) resumeBeats() {
	v.s.later(v.judgeAnew)
}

func (v *service) capture(a lifecycle.Action) {
	v.sentence = string(a.Cause) + ": " + a.Sentence
	j := v.takeJob()
	how := "taking the stacks of pid %d, at most %s"
	if j.traced() {
		how = "the permanent tracer takes the stacks of pid %d at its end, at most %s"
	}
	v.s.event(v.cfg.Name, "capture", fmt.Sprintf(how, v.started.PID, human(v.captureBudget())))
	v.freezing = j
	j.freeze()
}

// prepareJob makes the job of a step that has one, at most one has.
func (v *service) prepareJob(actions []lifecycle.Action) {
	for _, a := range actions {
		if a.Kind == lifecycle.ActionCapture || a.Kind == lifecycle.ActionEvidence {
			v.prepared = v.newJob(a)
		}
	}
}

func (v *service) takeJob() *job {
	j := v.prepared
	v.prepared = nil
	return j
}

// twins are copies of the process that are being read.
func (v *service) twins() (pids []int) {
	for _, j := range v.s.jobs.all {
		if j.v == v && j.twin != 0 {
			pids = append(pids, j.twin)
		}
	}
	return pids
}

// captured: the freeze is over, well or not.
func (v *service) captured(j *job, failure string) {
	if v.freezing != j {
		return
	}
	v.freezing = nil
	if failure != "" {
		v.s.event(v.cfg.Name, "alert", "the capture failed: "+failure)
	} else {
		v.s.event(v.cfg.Name, "capture", "the evidence is taken; the process may go")
	}
	v.step(lifecycle.Event{Kind: lifecycle.EventCaptured, Instance: v.life.Instance, Err: failure})
}

// sendStop asks the service to end. A stopped process would only take the
// signal when it runs again, so it is continued, as init systems do.
func (v *service) sendStop() {
	number := int(v.cfg.StopSignal)
	if v.former != nil {
		number = int(v.former.signal)
	}
	if number == 0 {
		number = int(syscall.SIGTERM)
	}
	v.s.ask(protocol.TSignal, protocol.Signal{ID: v.id(), Number: number, Scope: protocol.ScopeMain})
	// Noted after the act: a supervisor that is killed in between has its
	// successor send it once more, which is better than never.
	v.stopSent = v.life.Instance
	v.save()
	if (v.stopped != 0 || held(v.started.PID)) && !v.faulted() {
		v.s.ask(protocol.TSignal, protocol.Signal{ID: v.id(), Number: int(syscall.SIGCONT), Scope: protocol.ScopeGroup})
	}
}

// spawn looks up what the start needs (files, users: that may take a while) on
// a goroutine, then asks the keeper.
func (v *service) spawn(again bool) {
	v.startFail = 0
	instance := v.life.Instance
	v.takeConfigured()
	if v.receiver == nil {
		if err := v.listen(); err != nil {
			v.spawnFailed(instance, err, false)
			return
		}
	}
	cfg, socket := v.cfg, v.socketPath()
	go func() {
		start, found, err := prepareStart(cfg, socket, &v.s.runtimes)
		v.s.post(func() {
			if v.life.Instance != instance {
				return
			}
			if err != nil {
				v.startFail = failCode(err)
				v.spawnFailed(instance, err, true)
				return
			}
			v.exe, v.runtime = start.Path, found.runtime
			start.Key, start.Instance, start.Again = cfg.Name, instance, again && v.mayOrder()
			v.request(start)
		})
	}()
}

// request sends the start, with the readiness pipe where one is wanted.
func (v *service) request(start protocol.Start) {
	files, done, err := v.readyFiles()
	if err != nil {
		v.spawnFailed(start.Instance, err, false)
		return
	}
	start.Passed = len(files)
	v.save() // with what it is started as: a reload may come before it is ready
	v.givePage(&start)
	v.giveGimli(&start)
	v.s.check(v.s.keeper.send(protocol.TStart, start, files, func(m protocol.Message) { v.onStartReply(start.Instance, m) }))
	done()
}

func (v *service) onStartReply(instance uint64, m protocol.Message) {
	if m.Type != protocol.TStarted {
		m.CloseFiles()
		r, err := replyError(m)
		v.onStartFailed(r, err)
		return
	}
	var st protocol.Started
	if err := m.Into(&st); err != nil {
		m.CloseFiles()
		v.s.check(err)
		return
	}
	v.adopt(st, takeChildFiles(m.Files, nil))
	v.takeBaseline(st.PID)
	v.s.event(v.cfg.Name, "start", fmt.Sprintf("started as pid %d", st.PID))
	v.step(lifecycle.Event{Kind: lifecycle.EventSpawned, Instance: instance})
	v.takeEarlyReady()
	v.arm()
}

// onStartFailed takes the stage and errno of a failed start.
func (v *service) onStartFailed(r protocol.Reply, err error) {
	if r.Stage == "exec" && r.Errno != 0 {
		v.startFail = exitNotExecutable
		if syscall.Errno(r.Errno) == syscall.ENOENT {
			v.startFail = exitNotFound
		}
	} else {
		v.startFail = exitNotExecutable
	}
	v.spawnFailed(v.life.Instance, err, true)
}

func (v *service) spawnFailed(instance uint64, err error, fatal bool) {
	v.sentence = "start-failed: " + err.Error()
	v.s.later(func() {
		v.step(lifecycle.Event{Kind: lifecycle.EventSpawnFailed, Instance: instance, Err: err.Error(), Fatal: fatal})
	})
}

// failCode is the shell's code for a command that cannot be run.
func failCode(err error) int {
	if errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotExecutable
}

// found is what the executable turned out to be.
type found struct{ runtime string }

// prepareStart turns the configuration into a request. It reads files and the
// user database, so it runs beside the loop.
func prepareStart(cfg config.Service, socket string, known *runtimes) (protocol.Start, found, error) {
	var start protocol.Start
	path, err := config.Resolve(cfg)
	if err != nil {
		return start, found{}, err
	}
	file := path // as the service will see it, from its working directory
	if !filepath.IsAbs(file) && cfg.Directory != "" {
		file = filepath.Join(cfg.Directory, file)
	}
	f := found{runtime: known.of(cfg, file)}
	env := config.Environment(cfg, os.Environ())
	cred, err := credentialOf(cfg, &env)
	if err != nil {
		return start, f, err
	}
	env = append(env, wire.Environ(socket, beatLimit(cfg), 0)...)
	start = protocol.Start{
		Path: path, Args: cfg.Command, PIDEnv: wire.PIDPlaceholder, Dir: cfg.Directory, Credential: cred,
		Umask: cfg.Umask, Nice: cfg.Nice, OOMScoreAdj: cfg.OOMScoreAdj, NoNewPrivs: cfg.NoNewPrivileges,
		Output: protocol.OutputPipe, StopSignal: int(cfg.StopSignal), StopTimeout: cfg.StopTimeout,
	}
	start.Rlimits = rlimitsOf(cfg, f.runtime)
	if f.runtime == "go" && cfg.Capture.CoreLimit > 0 && !cfg.Capture.TraceExit && !hasVariable(env, "GOTRACEBACK") {
		env = append(env, "GOTRACEBACK=crash")
	}
	start.Env = env
	return start, f, nil
}
