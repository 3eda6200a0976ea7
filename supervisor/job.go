package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// job is one incident in the making: begin, capture or search for a core,
// analyse, complete. File work happens on goroutines of the job; every step
// comes back to the loop.
type job struct {
	v        *service
	incident snapshot.Incident
	verdict  string // the sentence before the analysis adds to it
	pid      int
	ticks    uint64
	exe      string
	runtime  string
	capture  captureRules
	inst     *logs.Instance
	readers  []*logs.Reader
	moments  []snapshot.Moment
	pidfd    *os.File // of the target, for a capture

	writing  *store.Writing
	core     string // a core that the kernel wrote; "" when vigil-capture did
	helper   string // id of the helper at work, "" when none is
	released bool   // the target is free
	deadline time.Duration
	stderr   *tailBuffer // the helper's last words
	over     bool
}

// captureRules is what the configuration says of the capture.
type captureRules struct {
	budget, analysis time.Duration
	keepCore, values bool
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

func (v *service) newJob(cause snapshot.Cause, sentence string) *job {
	now := clock.Boot()
	j := &job{
		v: v, verdict: sentence, inst: v.inst, readers: v.readers, runtime: v.runtime, exe: v.exe,
		pid: v.started.PID, ticks: v.started.Ticks, pidfd: v.pidfd,
		capture: captureRules{budget: v.cfg.Capture.Budget, analysis: v.cfg.Capture.AnalysisBudget, keepCore: v.cfg.Capture.KeepCore, values: v.cfg.Capture.Variables},
	}
	host, _ := os.Hostname()
	j.incident = snapshot.Incident{
		Schema: snapshot.SchemaVersion, Service: v.cfg.Name, Instance: v.started.Instance, PID: v.started.PID,
		Time: time.Now().UTC(), Host: host, Cause: cause, Sentence: sentence, Command: snapshot.MaskArguments(v.cfg.Command),
		Uptime: snapshot.SecondsOf(now - v.started.Boot), Vigil: v.s.opt.Version, Ran: []snapshot.Ran{}, Files: []snapshot.FileInfo{},
		Program: &snapshot.Program{Path: v.exe, Runtime: v.runtime},
	}
	v.s.jobs.all = append(v.s.jobs.all, j)
	return j
}

// begin opens the incident, then goes on in the loop.
func (j *job) begin(then func(error)) {
	s := j.v.s
	if s.store == nil {
		then(fmt.Errorf("cannot keep an incident: %s", s.noStore))
		return
	}
	subject := store.Subject{Service: j.incident.Service, Instance: j.incident.Instance, PID: j.pid, Cause: j.incident.Cause, Sentence: j.verdict}
	go func() {
		w, err := s.store.Begin(subject, j.incident.Time)
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
		if err == nil && j.v.s.opt.CaptureHelper == "" {
			err = fmt.Errorf("cannot capture: vigil-capture was not found")
		}
		if err != nil {
			j.missing("stacks: " + err.Error())
			j.free(err.Error())
			j.finish()
			return
		}
		args := []string{"freeze", "--pid", strconv.Itoa(j.pid), "--start-ticks", strconv.FormatUint(j.ticks, 10),
			"--dir", j.writing.Dir(), "--budget", j.capture.budget.String(), "--progress-fd", "1"}
		var files []*os.File
		if j.pidfd != nil {
			args, files = append(args, "--pidfd", "3"), []*os.File{j.pidfd}
		}
		j.deadline = clock.Boot() + j.capture.budget + 5*time.Second
		j.startHelper("capture", args, files, j.readProgress)
	})
}

// startHelper starts vigil-capture as a child of the keeper.
func (j *job) startHelper(what string, args []string, files []*os.File, read func(*os.File)) {
	s := j.v.s
	s.jobs.seq++
	start := protocol.Start{
		Key: what + ":" + j.incident.Service, Instance: s.jobs.seq, Path: s.opt.CaptureHelper, Args: append([]string{"vigil-capture"}, args...),
		Env: helperEnvironment(), Dir: "/", Output: protocol.OutputPipe, Helper: true, Passed: len(files),
	}
	j.helper = protocol.ID(start.Key, start.Instance)
	j.stderr = &tailBuffer{}
	s.jobs.running[j.helper] = j
	s.check(s.keeper.send(protocol.TStart, start, files, func(m protocol.Message) {
		if m.Type != protocol.TStarted {
			_, err := replyError(m)
			j.helperOver(fmt.Sprintf("cannot start vigil-capture: %v", err))
			return
		}
		f := takeChildFiles(m.Files, nil)
		if f.pidfd != nil {
			f.pidfd.Close()
		}
		if f.err != nil {
			go func() { _, _ = io.Copy(j.stderr, f.err); f.err.Close() }()
		}
		if f.out != nil {
			go func() { read(f.out); f.out.Close() }()
		}
	}))
}

// helperEnvironment is all that a helper needs of ours.
func helperEnvironment() []string {
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOTRACEBACK=single"}
	for _, name := range []string{"TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// maxProgress bounds one line of progress and the number of them.
const maxProgress = 64 << 10

func (j *job) readProgress(f *os.File) {
	lines := bufio.NewScanner(io.LimitReader(f, maxProgress))
	for lines.Scan() {
		var p snapshot.Progress
		if json.Unmarshal(lines.Bytes(), &p) != nil {
			continue
		}
		j.v.s.post(func() { j.onProgress(p) })
	}
}

func (j *job) onProgress(p snapshot.Progress) {
	switch p.Stage {
	case snapshot.StageReleased:
		if p.Reason != "" {
			j.v.s.event(j.v.cfg.Name, "capture", "partial: "+p.Reason)
		}
		j.free("")
	case snapshot.StageFailed:
		j.missing("stacks: " + p.Error)
		j.free(p.Error)
	}
}

// free tells the service that its process may be ended now.
func (j *job) free(failure string) {
	if j.released {
		return
	}
	j.released = true
	j.v.captured(j, failure)
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
func (j *job) evidence(exit *snapshot.Exit) {
	j.released = true
	j.incident.Exit = exit
	j.begin(func(err error) {
		if err != nil {
			j.finish()
			return
		}
		dir, boot := j.v.workDir(), j.v.startWall
		go func() {
			var found foundCore
			if exit != nil && exit.CoreDumped {
				found = findCore(dir, j.pid, filepath.Base(j.exe), boot)
			}
			j.v.s.post(func() { j.haveCore(found) })
		}()
	})
}

func (j *job) haveCore(found foundCore) {
	if found.missing != "" {
		j.missing(found.missing)
	}
	if found.path == "" || j.v.s.opt.CaptureHelper == "" || j.runtime != "go" {
		j.finish()
		return
	}
	j.core = found.path
	j.queueAnalysis()
}

// queueAnalysis waits for the one analysis at a time: the machine has services
// to run.
func (j *job) queueAnalysis() {
	q := &j.v.s.jobs
	if len(q.waiting) >= maxAnalyses {
		j.missing(fmt.Sprintf("stacks: not analysed, %d others wait already", maxAnalyses))
		j.finish()
		return
	}
	q.waiting = append(q.waiting, j)
	q.goOn(j.v.s)
}

// goOn starts the next analysis and ends helpers that are late.
func (q *jobs) goOn(s *Supervisor) {
	now := clock.Boot()
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
	args := []string{"analyze", "--dir", j.writing.Dir(), "--budget", j.capture.analysis.String(), "--pid", strconv.Itoa(j.pid)}
	if j.core != "" {
		args = append(args, "--core", j.core, "--exe", j.exe)
	}
	if j.capture.keepCore {
		args = append(args, "--keep-core")
	}
	if !j.capture.values {
		args = append(args, "--no-variables")
	}
	j.deadline = now + j.capture.analysis + 10*time.Second
	j.startHelper("analyze", args, nil, func(f *os.File) { _, _ = io.Copy(io.Discard, f) })
}

// onEvent takes the events of helpers.
func (q *jobs) onEvent(s *Supervisor, e protocol.Event) bool {
	id := protocol.ID(e.Key, e.Inst)
	j, ok := q.running[id]
	if !ok {
		return strings.HasPrefix(e.Key, "capture:") && s.releaseHelper(e, id) || strings.HasPrefix(e.Key, "analyze:") && s.releaseHelper(e, id)
	}
	if e.Kind == protocol.EventExited {
		ws := syscall.WaitStatus(e.Exit.Status)
		why := ""
		if !ws.Exited() || ws.ExitStatus() != 0 {
			why = "vigil-capture ended with " + describeEnd(endOf(e.Exit))
			if last := j.stderr.last(); last != "" {
				why += ": " + last
			}
		}
		s.ask(protocol.TKill, protocol.Kill{ID: id})
		s.ask(protocol.TRelease, protocol.Name{Name: id})
		delete(q.running, id)
		j.helperOver(why)
	}
	return true
}

// releaseHelper ends a helper of a former supervisor.
func (s *Supervisor) releaseHelper(e protocol.Event, id string) bool {
	if e.Kind == protocol.EventExited || e.Kind == protocol.EventEmpty {
		s.ask(protocol.TRelease, protocol.Name{Name: id})
	}
	return true
}

// helperOver goes on when the helper has ended, well or not.
func (j *job) helperOver(why string) {
	q := &j.v.s.jobs
	delete(q.running, j.helper)
	j.helper, j.deadline = "", 0
	if why != "" {
		j.missing("stacks: " + why)
		j.v.s.log.Warn(j.v.cfg.Name+": "+why, zap.String("incident", j.incident.ID))
	}
	wasAnalysis := q.analysing == j
	if wasAnalysis {
		q.analysing = nil
		j.finish()
		q.goOn(j.v.s)
		return
	}
	j.free(why)
	j.afterCapture()
}

// afterCapture makes the evidence safe and has it analysed.
func (j *job) afterCapture() {
	s, w := j.v.s, j.writing
	go func() {
		report, err := readCapture(w.Dir())
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
	if j.over {
		return
	}
	j.over = true
	s := j.v.s
	j.moments = j.v.timeline.copy()
	if j.writing == nil {
		s.jobs.drop(j)
		return
	}
	policy, percent := s.retention()
	go func() {
		done, err := j.complete()
		var pruned []store.Removal
		if err == nil {
			pruned = s.prune(policy, percent)
		}
		s.post(func() { j.completed(done, err, pruned) })
	}()
}

func (j *job) completed(done snapshot.Incident, err error, pruned []store.Removal) {
	s := j.v.s
	s.jobs.drop(j)
	if err != nil {
		s.event(j.v.cfg.Name, "alert", "cannot keep the incident: "+err.Error())
		return
	}
	j.v.incident, j.v.sentence = done.ID, done.Sentence
	s.event(j.v.cfg.Name, "incident", done.ID+" "+string(done.Status)+": "+done.Sentence)
	for _, r := range pruned {
		s.event("", "pruned", fmt.Sprintf("%s: %s", r.ID, r.Reason))
	}
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
	ctx, cancel := context.WithTimeout(j.v.s.ctx, outputPatience)
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
