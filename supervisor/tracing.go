package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/conclude"
)

// helperTrace begins the keys of permanent tracers. The instance of such a child
// is that of its service, and part of its key: one finishes while the next
// begins.
const helperTrace = "trace"

// dirTraces is where they put what they see, below the state directory, until
// an incident takes it.
const dirTraces = "trace"

// tracerMargin is for a tracer to finish its files, when its target is gone.
const tracerMargin = 20 * time.Second

// tracer is a permanent tracer of one instance of a service. The loop owns it.
type tracer struct {
	service  string
	instance uint64
	dir      string
	pid      int // of the tracer itself; 0: not known yet
	attached bool
	over     bool
	dropped  bool
	taken    bool // an incident is made of what it sees
	unwanted bool // its target has ended, and no incident is made of it
	why      string
	stderr   *tailBuffer
	deadline time.Duration // of its end, when an incident waits for it; 0: none
	then     []func()      // at its end
}

func tracerKey(service string, instance uint64) string {
	return helperTrace + ":" + service + ":" + strconv.FormatUint(instance, 10)
}

func tracerID(service string, instance uint64) string {
	return protocol.ID(tracerKey(service, instance), instance)
}

// tracer returns that of the present instance, nil when there is none.
func (v *service) tracer() *tracer { return v.s.tracers[tracerID(v.cfg.Name, v.life.Instance)] }

// armTracer starts the tracer of an instance, once.
func (v *service) armTracer() {
	if !v.cfg.Capture.TraceExit || !v.set.CanCapture || !v.life.Alive || v.started.PID == 0 || v.tracer() != nil || v.stopSent == v.life.Instance {
		return
	}
	if j := v.s.snapshots.running; j != nil && j.v == v {
		return // there can be only one at a time
	}
	s, id := v.s, tracerID(v.cfg.Name, v.life.Instance)
	t := &tracer{
		service: v.cfg.Name, instance: v.life.Instance,
		dir: filepath.Join(s.opt.StateDir, dirTraces, v.cfg.Name+"."+strconv.FormatUint(v.life.Instance, 10)),
	}
	s.tracers[id] = t
	pid, ticks, budget := v.started.PID, v.started.Ticks, v.captureBudget()
	go func() {
		err := makeTraceDir(t.dir)
		s.post(func() {
			if err != nil || t.unwanted {
				s.tracerFailed(t, err)
				return
			}
			s.startTracer(id, t, []string{"vigil-capture", "trace", "--pid", strconv.Itoa(pid), "--start-ticks", strconv.FormatUint(ticks, 10),
				"--dir", t.dir, "--budget", budget.String(), "--binaries", s.binariesDir(), "--progress-fd", "1"})
		})
	}()
}

// makeTraceDir makes the directory anew: only a former vigil can have left one.
func makeTraceDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

func (s *Supervisor) startTracer(id string, t *tracer, args []string) {
	start := protocol.Start{
		Key: tracerKey(t.service, t.instance), Instance: t.instance, Path: s.opt.CaptureHelper, Args: args,
		Env: helperEnvironment(), Dir: "/", Output: protocol.OutputPipe, Helper: true,
		NoNewPrivs: true, Bounding: rightsOf(helperTrace),
	}
	s.check(s.keeper.send(protocol.TStart, start, nil, func(m protocol.Message) {
		if m.Type != protocol.TStarted {
			_, err := replyError(m)
			s.tracerFailed(t, err)
			return
		}
		var st protocol.Started
		if err := m.Into(&st); err == nil {
			t.pid = st.PID
		}
		s.attachTracer(t, takeChildFiles(m.Files, nil))
	}))
}

// attachTracer reads what a tracer says.
func (s *Supervisor) attachTracer(t *tracer, f childFiles) {
	if f.pidfd != nil {
		f.pidfd.Close()
	}
	stderr := &tailBuffer{}
	t.stderr = stderr
	if f.err != nil {
		go func() { _, _ = io.Copy(stderr, f.err); f.err.Close() }()
	}
	if f.out != nil {
		go func() { s.readTracer(t, f.out); f.out.Close() }()
	}
}

func (s *Supervisor) readTracer(t *tracer, f *os.File) {
	lines := bufio.NewScanner(io.LimitReader(f, maxProgress))
	for lines.Scan() {
		var p snapshot.Progress
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Stage == snapshot.StageStarted {
			s.post(func() {
				if !t.attached {
					t.attached = true
					s.event(t.service, "capture", fmt.Sprintf("a permanent tracer stands beside instance %d", t.instance))
				}
			})
		}
	}
}

// onTracerEvent takes the events of tracers.
func (s *Supervisor) onTracerEvent(e protocol.Event, files childFiles) bool {
	if !strings.HasPrefix(e.Key, helperTrace+":") {
		return false
	}
	id := protocol.ID(e.Key, e.Inst)
	t := s.tracers[id]
	if t != nil && e.Kind == protocol.EventStarted && t.stderr == nil { // asked for by a former supervisor
		s.attachTracer(t, files)
		return true
	}
	files.close()
	switch {
	case t != nil && e.Kind == protocol.EventStartFailed:
		s.tracerFailed(t, errors.New(e.Failure.Error))
	case e.Kind == protocol.EventExited:
		s.ask(protocol.TKill, protocol.Kill{ID: id})
		s.ask(protocol.TRelease, protocol.Name{Name: id})
		if t != nil && !t.over {
			s.tracerEnded(t, e.Exit)
		}
	case t == nil && e.Kind == protocol.EventEmpty:
		s.ask(protocol.TRelease, protocol.Name{Name: id})
	}
	return true
}

func (s *Supervisor) tracerEnded(t *tracer, exit *protocol.Exit) {
	if ws := syscall.WaitStatus(exit.Status); !t.unwanted && (!ws.Exited() || ws.ExitStatus() != 0) {
		why := "it ended with " + describeEnd(endOf(exit))
		if t.stderr != nil && t.stderr.last() != "" {
			why += ": " + t.stderr.last()
		}
		s.tracerFailed(t, errors.New(why))
		return
	}
	s.tracerOver(t)
}

// tracerFailed tells of a tracer that is not, or not any more.
func (s *Supervisor) tracerFailed(t *tracer, err error) {
	if err != nil {
		t.why = err.Error()
		s.event(t.service, "alert", "the permanent tracer (capture.trace_exit) failed: "+t.why)
	}
	s.tracerOver(t)
}

func (s *Supervisor) tracerOver(t *tracer) {
	t.over, t.deadline = true, 0
	for _, f := range t.then {
		f()
	}
	t.then = nil
	if t.unwanted && !t.taken {
		s.dropTracer(t)
	}
}

// instanceEnded: an end without an incident leaves nothing of a tracer.
func (s *Supervisor) instanceEnded(service string, instance uint64) {
	t := s.tracers[tracerID(service, instance)]
	if t == nil || t.taken {
		return
	}
	t.unwanted = true
	if t.over {
		s.dropTracer(t)
	}
}

// endTracer ends the tracer of an instance whose end is asked for, or which
// another is to look at. then is called when it is gone.
func (v *service) endTracer(then func()) {
	t := v.tracer()
	if t == nil || t.over {
		if t != nil && !t.taken {
			v.s.dropTracer(t)
		}
		then()
		return
	}
	t.unwanted = true
	t.then = append(t.then, then)
	v.s.ask(protocol.TKill, protocol.Kill{ID: tracerID(t.service, t.instance)})
}

// dropTracer forgets one, with what it has written. Another of the same instance
// has the same directory, so it comes afterwards.
func (s *Supervisor) dropTracer(t *tracer) {
	if t.dropped {
		return
	}
	t.dropped = true
	go func() {
		err := os.RemoveAll(t.dir)
		s.post(func() {
			if err != nil {
				s.log.Warn("cannot remove what a tracer wrote", zap.Error(err))
			}
			delete(s.tracers, tracerID(t.service, t.instance))
			if v, ok := s.services[t.service]; ok && v.life.Instance == t.instance {
				v.armTracer()
			}
		})
	}()
}

// lateTracers ends those that take too long to finish.
func (s *Supervisor) lateTracers(now time.Duration) {
	for id, t := range s.tracers {
		if t.deadline > 0 && now >= t.deadline {
			t.deadline = 0
			s.ask(protocol.TKill, protocol.Kill{ID: id})
		}
	}
}

// takeTracers finds the tracers that a former supervisor had started.
func (s *Supervisor) takeTracers(helpers map[string]recoveredChild) {
	for id, c := range helpers {
		service, ok := strings.CutPrefix(c.Key, helperTrace+":")
		if !ok {
			continue
		}
		delete(helpers, id)
		service, _, _ = strings.Cut(service, ":") // no name of a service has one
		t := &tracer{service: service, instance: c.Started.Instance, pid: c.Started.PID, attached: true,
			dir: filepath.Join(s.opt.StateDir, dirTraces, service+"."+strconv.FormatUint(c.Started.Instance, 10))}
		s.tracers[id] = t
		if c.Waiting {
			c.files.close() // its start is told by an event, with its files
			continue
		}
		s.attachTracer(t, c.files)
		if c.Exit != nil {
			s.later(func() {
				if !t.over {
					s.tracerEnded(t, c.Exit)
				}
			})
		}
	}
}

// sweepTraces removes what belongs to no tracer and to no incident.
func (s *Supervisor) sweepTraces() {
	known := map[string]bool{}
	for _, t := range s.tracers {
		known[t.dir] = true
	}
	for _, j := range s.jobs.all {
		known[j.traceDir] = true
	}
	root := filepath.Join(s.opt.StateDir, dirTraces)
	go func() {
		entries, err := os.ReadDir(root)
		if err != nil {
			return // there has never been one
		}
		for _, e := range entries {
			if dir := filepath.Join(root, e.Name()); !known[dir] {
				_ = os.RemoveAll(dir) // the next start tries again
			}
		}
	}()
}

// traced reports whether what a tracer sees at the end of the process is the
// evidence of this incident.
func (j *job) traced() bool { return j.traceDir != "" && j.onFree == nil }

// tracer is that of the instance which the incident is about.
func (j *job) tracer() *tracer { return j.s.tracers[tracerID(j.incident.Service, j.incident.Instance)] }

// awaitTracer waits for the tracer to finish, then goes on with what it has
// written.
func (j *job) awaitTracer() {
	j.reach(stageTrace)
	t := j.tracer()
	if t == nil || t.over {
		j.takeTrace()
		return
	}
	t.deadline = clock.Boot() + j.capture.Budget + tracerMargin
	t.then = append(t.then, j.takeTrace)
}

// takeTrace moves what the tracer has written into the incident. It can be done
// again.
func (j *job) takeTrace() {
	why := "it saw no end of that instance"
	if t := j.tracer(); t != nil && t.why != "" {
		why = t.why
	}
	from, to := j.traceDir, j.writing.Dir()
	go func() {
		_, err := moveCapture(from, to)
		_, missing := conclude.Capture(to)
		j.s.post(func() {
			delete(j.s.tracers, tracerID(j.incident.Service, j.incident.Instance))
			switch {
			case missing == nil:
				j.afterCapture()
				return
			case err != nil:
				why = err.Error()
			case !errors.Is(missing, fs.ErrNotExist):
				why = missing.Error()
			}
			j.missing("stacks: by the permanent tracer: " + why)
			j.searchCore()
		})
	}()
}
