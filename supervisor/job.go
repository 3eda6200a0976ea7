package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/conclude"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// job is one incident in the making: begin, capture or search for a core,
// analyse, complete. File work happens on goroutines of the job; every step
// comes back to the loop.
type job struct {
	s          *Supervisor
	v          *service // nil when the configuration does not have it any more
	incident   snapshot.Incident
	stage      stage
	live       bool   // it captures a process that lives; else it looks at an end
	verdict    string // the sentence before the analysis adds to it
	pid        int
	ticks      uint64
	exe        string
	runtime    string
	outputFile string             // that its output goes to; "": none
	baseline   *snapshot.Counters // of its network when the instance began; nil: not known
	cgroup     string             // of the instance; "": it has none of its own
	workDir    string             // of the service, where its core is
	startWall  time.Time          // of the instance
	capture    captureRules
	inst       *logs.Instance
	readers    []*logs.Reader
	moments    []snapshot.Moment // before v's timeline; at the end, all
	pidfd      *os.File          // of the target, for a capture
	own        string            // directory of the keeper's capture of a supervisor; "": it is a service's
	takenUp    bool              // a former supervisor began it
	traceDir   string            // of the permanent tracer of its instance; "": there is none
	farewell   bool              // its target is to end by itself, and how it does belongs to the incident
	endBy      time.Duration     // until then that end is waited for; 0: not yet

	writing  *store.Writing
	core     string                         // a core that the kernel wrote; "" when vigil-capture did
	helper   string                         // id of the helper at work, "" when none is
	onFree   func(failure string)           // of a snapshot: the target runs on
	onDone   func(snapshot.Incident, error) // of a snapshot: all is over
	released bool                           // the target is free
	twin     int                            // pid of its twin, which the helper reads; 0: there is none
	deadline time.Duration
	stderr   *tailBuffer // the helper's last words
	over     bool

	samples   *snapshot.Samples // nil: there are none, or they were not taken yet
	suspicion *stall            // that came before, nil when there was none
}

// captureRules is what the configuration says of the capture.
type captureRules struct {
	Budget   time.Duration `json:"budget"`
	Analysis time.Duration `json:"analysis"`
	KeepCore bool          `json:"keep_core,omitempty"`
	Values   bool          `json:"values,omitempty"`
	Signal   string        `json:"signal,omitempty"`
}

// jobs are the jobs under way.
type jobs struct {
	running   map[string]*job // by the id of their helper
	all       []*job
	waiting   []*job // for the one analysis at a time
	analysing *job
	seq       uint64
}

func (j *jobs) busy() bool { return len(j.all) > 0 }

// newJob notes an incident and does nothing yet. It comes before the note of
// the service's new state: a successor that finds only the job knows that
// nothing was decided, and drops it.
func (v *service) newJob(a lifecycle.Action) *job {
	cause, sentence := a.Cause, a.Sentence
	now := clock.Boot()
	j := &job{
		s: v.s, v: v, stage: stageBegin, live: a.Kind == lifecycle.ActionCapture, verdict: sentence,
		inst: v.inst, readers: v.readers, runtime: v.runtime, exe: v.exe,
		pid: v.started.PID, ticks: v.started.Ticks, pidfd: v.pidfd, workDir: v.workDir(), outputFile: v.output.Path(), baseline: v.baselineNow(), cgroup: v.started.Cgroup, startWall: v.startWall,
		farewell: v.life.Farewell && a.Kind == lifecycle.ActionCapture && a.Cause != snapshot.CauseRequested,
		capture:  captureRules{Budget: v.captureBudget(), Analysis: v.cfg.Capture.AnalysisBudget, KeepCore: v.cfg.Capture.KeepCore, Values: v.cfg.Capture.Variables, Signal: dumpSignal(v.cfg)},
	}
	if v.stall != nil && v.stall.instance == v.started.Instance && a.Cause != snapshot.CauseRequested {
		j.suspicion, v.stall = v.stall, nil
	}
	if t := v.s.tracers[tracerID(v.cfg.Name, v.started.Instance)]; t != nil && cause != snapshot.CauseRequested && (t.attached || !t.over) {
		t.taken, j.traceDir = true, t.dir
	}
	host, _ := os.Hostname()
	j.incident = snapshot.Incident{
		Schema: snapshot.SchemaVersion, Service: v.cfg.Name, Instance: v.started.Instance, PID: v.started.PID,
		Time: time.Now().UTC(), Host: host, Cause: cause, Sentence: sentence, Command: snapshot.MaskArguments(v.cfg.Command),
		Uptime: snapshot.SecondsOf(now - v.started.Boot), Vigil: v.s.opt.Version, Ran: []snapshot.Ran{}, Files: []snapshot.FileInfo{},
		Program: &snapshot.Program{Path: v.exe, Runtime: v.runtime},
	}
	if !j.live {
		j.released, j.incident.Exit = true, exitOf(v.lastEnd)
	}
	j.samples = v.s.samplesOf(v.cfg.Name) // of before: the analysis can take a minute
	v.s.jobs.all = append(v.s.jobs.all, j)
	j.save()
	return j
}

// dumpSignal is the name of the signal at which a program prints its stacks.
func dumpSignal(cfg config.Service) string {
	if cfg.Capture.DumpSignal == 0 {
		return ""
	}
	return "SIG" + strings.TrimPrefix(config.SignalName(cfg.Capture.DumpSignal), "SIG")
}

// begin opens the incident, then goes on in the loop.
func (j *job) begin(then func(error)) {
	s := j.s
	if s.store == nil {
		then(fmt.Errorf("cannot keep an incident: %s", s.noStore))
		return
	}
	subject := store.Subject{Service: j.incident.Service, Instance: j.incident.Instance, PID: j.pid, Cause: j.incident.Cause, Sentence: j.verdict}
	ended := j.released
	go func() {
		w, err := s.store.Begin(subject, j.incident.Time)
		if err == nil {
			if ended { // it has ended: what it said last is all but here
				j.settle()
			}
			j.keepOutput(w.Dir())
		}
		s.post(func() {
			j.writing = w
			if err == nil {
				j.incident.ID = w.ID()
			}
			then(err)
		})
	}()
}

// freeze takes the stacks of a live target: vigil-capture does it, and tells
// when the target is free.
func (j *job) freeze() {
	j.begin(func(err error) {
		if err == nil && j.s.opt.CaptureHelper == "" {
			err = fmt.Errorf("cannot capture: vigil-capture was not found")
		}
		if err != nil {
			j.freezeFailed(err.Error())
			return
		}
		if t := j.tracer(); j.traced() && t != nil && t.attached && !t.over && !j.farewell {
			j.free("") // it is killed now, and seen at its end
			j.awaitTracer()
			return
		}
		j.startFreeze()
	})
}

func (j *job) freezeFailed(why string) {
	j.missing("stacks: " + why)
	j.free(why)
	j.finish()
}

func (j *job) startFreeze() {
	args := []string{"freeze", "--pid", strconv.Itoa(j.pid), "--start-ticks", strconv.FormatUint(j.ticks, 10),
		"--dir", j.writing.Dir(), "--budget", j.capture.Budget.String(), "--binaries", j.s.binariesDir(), "--progress-fd", "1"}
	var files []*os.File
	if j.pidfd != nil {
		args, files = append(args, "--pidfd", "3"), []*os.File{j.pidfd}
	}
	if j.outputFile != "" {
		args = append(args, "--output", j.outputFile)
	}
	if j.runtime != "" {
		args = append(args, "--runtime", j.runtime)
	}
	if j.capture.Signal != "" {
		args = append(args, "--dump-signal", j.capture.Signal)
	}
	if j.baseline != nil {
		if text, err := json.Marshal(j.baseline); err == nil {
			args = append(args, "--baseline", string(text))
		}
	}
	if j.cgroup != "" {
		args = append(args, "--cgroup", j.cgroup)
	}
	if j.onFree == nil && !j.farewell {
		args = append(args, "--lethal")
	}
	j.stage, j.deadline = stageCapture, clock.Boot()+j.capture.Budget+5*time.Second
	j.startHelper(helperCapture, args, files)
}

// free tells the service that its process may be ended now.
func (j *job) free(failure string) {
	if j.released {
		return
	}
	j.released = true
	switch {
	case j.onFree != nil:
		j.onFree(failure)
	case j.v != nil:
		j.v.captured(j, failure)
	}
}

func (j *job) missing(sentence string) {
	for _, m := range j.incident.Missing {
		if m == sentence {
			return
		}
	}
	j.incident.Missing = append(j.incident.Missing, sentence)
}

// evidence keeps what an end leaves behind: the last output, the status, and a
// core where there is one.
func (j *job) evidence() {
	j.begin(func(err error) {
		if err != nil {
			j.finish()
			return
		}
		if j.traced() {
			j.awaitTracer()
			return
		}
		j.searchCore()
	})
}

func (j *job) searchCore() {
	j.reach(stageCore)
	exit := j.incident.Exit
	go func() {
		var found foundCore
		if exit != nil && exit.CoreDumped {
			found = findCore(j.workDir, j.pid, filepath.Base(j.exe), j.startWall)
		}
		j.s.post(func() { j.haveCore(found) })
	}()
}

func (j *job) haveCore(found foundCore) {
	if found.missing != "" {
		j.missing(found.missing)
	}
	if found.path == "" || j.s.opt.CaptureHelper == "" || j.runtime == "jvm" {
		j.finish()
		return
	}
	j.core = found.path
	j.queueAnalysis()
}

// queueAnalysis waits for the one analysis at a time: the machine has services
// to run.
func (j *job) queueAnalysis() {
	q := &j.s.jobs
	if len(q.waiting) >= maxAnalyses {
		j.missing(fmt.Sprintf("stacks: not analysed, %d others wait already", maxAnalyses))
		j.finish()
		return
	}
	j.reach(stageAnalyse)
	q.waiting = append(q.waiting, j)
	q.goOn(j.s)
}

// goOn starts the next analysis and ends helpers that are late.
func (q *jobs) goOn(s *Supervisor) {
	now := clock.Boot()
	q.finishLate(now)
	s.lateTracers(now)
	for id, j := range q.running {
		if j.deadline > 0 && now >= j.deadline {
			j.deadline = 0
			s.ask(protocol.TKill, protocol.Kill{ID: id})
		}
	}
	if q.analysing != nil || len(q.waiting) == 0 {
		return
	}
	j := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.analysing = j
	args := []string{helperAnalyse, "--dir", j.writing.Dir(), "--budget", j.capture.Analysis.String(), "--binaries", j.s.binariesDir(), "--pid", strconv.Itoa(j.pid)}
	if j.core != "" {
		args = append(args, "--core", j.core, "--exe", j.exe, "--runtime", j.runtime)
	}
	if j.capture.KeepCore {
		args = append(args, "--keep-core")
	}
	if !j.capture.Values {
		args = append(args, "--no-variables")
	}
	j.deadline = now + j.capture.Analysis + 10*time.Second
	j.startHelper(helperAnalyse, args, nil)
}

// helperOver goes on when the helper has ended, well or not.
func (j *job) helperOver(why string) {
	q := &j.s.jobs
	delete(q.running, j.helper)
	j.helper, j.deadline, j.twin = "", 0, 0
	if why != "" {
		j.missing("stacks: " + why)
		j.s.log.Warn(j.incident.Service+": "+why, zap.String("incident", j.incident.ID))
	}
	wasAnalysis := q.analysing == j
	if wasAnalysis {
		q.analysing = nil
		j.finish()
		q.goOn(j.s)
		return
	}
	j.free(why)
	j.afterCapture()
}

// afterCapture makes the evidence safe and has it analysed.
func (j *job) afterCapture() {
	s, w := j.s, j.writing
	go func() {
		report, err := conclude.Capture(w.Dir())
		if err == nil {
			err = w.Pending()
		}
		s.post(func() {
			if err != nil || report.Core == "" {
				j.finish()
				return
			}
			j.queueAnalysis()
		})
	}()
}

// finish completes the incident.
func (j *job) finish() {
	if j.over || j.awaitsEnd() {
		return
	}
	s := j.s
	if j.writing == nil {
		j.over = true
		s.jobs.drop(j)
		j.forget()
		j.done(snapshot.Incident{}, errors.New(strings.Join(j.incident.Missing, "; ")))
		return
	}
	j.reach(stageComplete)
	j.over, j.moments = true, j.story()
	if j.samples == nil {
		j.samples = s.samplesOf(j.incident.Service)
	}
	policy := s.retention()
	go func() {
		done, err := j.complete()
		var pruned []store.Removal
		if err == nil {
			pruned = s.prune(policy)
		}
		s.post(func() { j.completed(done, err, pruned) })
	}()
}

func (j *job) completed(done snapshot.Incident, err error, pruned []store.Removal) {
	s := j.s
	s.jobs.drop(j)
	if err != nil {
		j.forget()
		s.event(j.incident.Service, "alert", "cannot keep the incident: "+err.Error())
		j.done(done, err)
		return
	}
	j.told(done)
	j.done(done, nil)
	s.tellPruned(pruned)
}

// done answers who waits for the incident.
func (j *job) done(done snapshot.Incident, err error) {
	if j.onDone != nil {
		j.onDone(done, err)
	}
}

// told makes a complete incident known. The service's note comes first: when
// the job's is gone, nobody tells of the incident any more.
func (j *job) told(done snapshot.Incident) {
	if j.v != nil {
		j.v.incident = done.ID
		if j.incident.Cause != snapshot.CauseRequested && j.onFree == nil { // a snapshot says nothing of an end
			j.v.sentence = done.Sentence
		}
		if j.s.services[done.Service] == j.v { // else it has left the configuration
			j.v.save()
		}
	}
	j.forget()
	j.s.event(done.Service, "incident", done.ID+" "+string(done.Status)+": "+done.Sentence)
}

func (q *jobs) drop(j *job) {
	for i, one := range q.all {
		if one == j {
			q.all = append(q.all[:i], q.all[i+1:]...)
			return
		}
	}
}

// abandonAll leaves what is under way behind; the store shows it as partial.
func (q *jobs) abandonAll(s *Supervisor, why string) {
	for _, j := range append([]*job(nil), q.all...) {
		if j.writing == nil || j.over {
			continue
		}
		if j.helper != "" {
			s.ask(protocol.TKill, protocol.Kill{ID: j.helper})
		}
		j.over = true
		if _, err := j.writing.Abandon(why); err != nil {
			s.log.Warn("cannot complete incident", zap.String("incident", j.incident.ID), zap.Error(err))
		}
	}
	q.all = nil
}

// settle waits until the output of the dead instance has been read, for a
// moment: its last words are the best evidence there is.
func (j *job) settle() {
	ctx, cancel := context.WithTimeout(j.s.ctx, outputPatience)
	defer cancel()
	for _, r := range j.readers {
		select {
		case <-r.Done():
		case <-ctx.Done():
			return
		}
	}
}

// outputPatience is for output that is still in the pipe. A process that lives
// on with the pipe open does not hold the incident up.
const outputPatience = 500 * time.Millisecond
