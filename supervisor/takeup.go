package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/conclude"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// takeUpJobs goes on with the incidents that a former supervisor had in the
// making, and ends what belongs to nobody. Services are recovered by then.
//
// The keeper drops what a dead supervisor had sent and it had not read yet. So
// what is noted is a beginning of the story: a note may be one step behind, the
// helper and its files on disk tell the rest.
func (s *Supervisor) takeUpJobs(notes map[string][]byte, helpers map[string]recoveredChild) {
	for id := range helpers {
		s.jobs.seq = max(s.jobs.seq, instanceOf(id))
	}
	left := s.unfinished()
	var idle []*job // those at work come first: there is one analysis at a time
	for _, key := range jobKeys(notes) {
		n, err := parseJobNote(notes[key])
		if err != nil {
			s.log.Warn("an incident in the making is lost", zap.String("note", key), zap.Error(err))
			s.ask(protocol.TPutNote, protocol.Note{Key: key})
			continue
		}
		s.jobs.seq = max(s.jobs.seq, instanceOf(n.Helper))
		if j := s.takeUp(n, left, helpers); j != nil {
			idle = append(idle, j)
		}
	}
	for _, j := range idle {
		j.goOn()
	}
	for _, name := range s.names {
		s.services[name].goOnFreezing()
	}
	for _, c := range helpers {
		s.endHelper(c)
	}
	s.takeOwnHangs(left)
	s.abandonLeft(left)
	s.sweepTraces()
	s.jobs.goOn(s)
}

func jobKeys(notes map[string][]byte) []string {
	var keys []string
	for key := range notes {
		if isJobNote(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// instanceOf is the number in the id of a child, 0 without one.
func instanceOf(id string) uint64 {
	_, number, _ := strings.Cut(id, "#")
	n, _ := strconv.ParseUint(number, 10, 64)
	return n
}

// unfinished lists the incidents of the store that are not complete.
func (s *Supervisor) unfinished() []store.Unfinished {
	if s.store == nil {
		return nil
	}
	left, err := s.store.Recover()
	if err != nil {
		s.log.Warn("cannot look for unfinished incidents", zap.Error(err))
	}
	return left
}

// takeUp makes one job anew, with the helper that works for it. It returns the
// job when none does and it is to go on.
func (s *Supervisor) takeUp(n jobNote, left []store.Unfinished, helpers map[string]recoveredChild) *job {
	j := s.jobOf(n)
	if v := j.v; v != nil && v.life.Instance == n.Incident.Instance && !v.life.EndTold {
		// Only the intention was noted: the service's own note does not know of
		// it. What led to it comes again, as an event or a missed beat.
		j.forget()
		return nil
	}
	if s.store == nil {
		return nil
	}
	if j.incident.ID == "" {
		j.incident.ID = idOf(n.Incident, left)
	}
	if j.incident.ID != "" {
		w, err := s.store.Resume(j.incident.ID)
		if errors.Is(err, store.ErrFinished) {
			j.tellFinished()
			return nil
		}
		if err != nil {
			s.log.Warn("an incident in the making cannot be taken up", zap.String("incident", j.incident.ID), zap.Error(err))
			j.free(err.Error())
			j.forget()
			return nil
		}
		j.writing = w
	}
	s.jobs.all = append(s.jobs.all, j)
	s.log.Info(n.Incident.Service+": an incident in the making is taken up", zap.String("incident", j.incident.ID), zap.String("stage", string(n.Stage)))
	helper, has := helpers[n.Helper]
	delete(helpers, n.Helper)
	if has && n.Helper != "" {
		j.takeHelper(n.Helper, helper)
		return nil
	}
	j.helper, j.deadline = "", 0
	return j
}

// idOf finds the incident of a job that was killed before it knew the id.
func idOf(i snapshot.Incident, left []store.Unfinished) string {
	for _, u := range left {
		if !u.Lost && u.Marker.Service == i.Service && u.Marker.Instance == i.Instance && u.Marker.Time.Equal(i.Time) {
			return u.ID
		}
	}
	return ""
}

// jobOf makes the job of a note.
func (s *Supervisor) jobOf(n jobNote) *job {
	j := &job{
		s: s, v: s.services[n.Incident.Service], incident: n.Incident, stage: n.Stage, live: n.Live, verdict: n.Verdict,
		pid: n.Incident.PID, ticks: n.Ticks, exe: n.Exe, runtime: n.Runtime, workDir: n.WorkDir, startWall: n.StartWall,
		capture: n.Rules, core: n.Core, own: n.Own, traceDir: n.TraceDir, farewell: n.Farewell, helper: n.Helper, deadline: n.Deadline, moments: n.Moments, takenUp: true, released: true,
	}
	v := j.v
	if v == nil || v.started.Instance != n.Incident.Instance {
		return j
	}
	j.inst, j.readers, j.pidfd = v.inst, v.readers, v.pidfd
	j.outputFile, j.cgroup = v.output.Path(), v.started.Cgroup
	if j.live && v.life.State == lifecycle.Freezing && v.life.Instance == n.Incident.Instance {
		v.freezing, j.released = j, false
	}
	return j
}

// tellFinished: the incident was complete, and nobody had heard of it.
func (j *job) tellFinished() {
	j.free("")
	full, err := j.s.store.Load(j.incident.ID)
	if err != nil {
		j.forget()
		return
	}
	j.told(full.Incident)
}

// takeHelper goes on with a helper that the former supervisor had started.
func (j *job) takeHelper(id string, c recoveredChild) {
	q := &j.s.jobs
	q.running[id] = j
	if j.stage == stageAnalyse {
		q.analysing = j
	}
	if c.Waiting {
		c.files.close() // its start is told by an event, with its files
		return
	}
	j.attach(c.files)
	if c.Exit != nil {
		// Whoever acknowledged its end may not have acted on it.
		j.s.later(func() { j.helperEnded(id, c.Exit) })
	}
}

// goOn takes the job up from its stage when no helper is at work for it.
func (j *job) goOn() {
	switch {
	case j.stage == stageComplete:
		j.finish()
	case j.stage == stageAnalyse:
		j.goOnAnalysis()
	case j.own != "":
		j.takeOwn()
	case j.writing != nil && captured(j.writing.Dir()):
		j.free("")
		j.afterCapture()
	case j.writing != nil && j.stage == stageTrace:
		j.free("")
		j.awaitTracer()
	case !j.live && j.writing != nil:
		j.searchCore()
	case !j.live:
		j.evidence()
	case j.released || !j.v.life.Alive:
		j.freezeFailed("the process was gone before a supervisor that was replaced had its stacks taken")
	case j.writing != nil:
		j.startFreeze()
	default:
		j.freeze()
	}
}

// captured reports whether the helper has done its work: its report is the
// last file that it writes.
func captured(dir string) bool {
	_, err := conclude.Capture(dir)
	return err == nil
}

// goOnAnalysis has the analysis made, unless it has been.
func (j *job) goOnAnalysis() {
	report, _ := conclude.Capture(j.writing.Dir())
	core := j.core
	if core == "" {
		core = filepath.Join(j.writing.Dir(), snapshot.FileCore)
	}
	_, err := os.Stat(core)
	switch {
	case slices.ContainsFunc(report.Ran, func(r snapshot.Ran) bool { return r.Name == "golang" }):
		j.finish()
	case err != nil:
		j.missing("stacks: not analysed: " + err.Error())
		j.finish()
	default:
		j.queueAnalysis()
	}
}

// goOnFreezing: the service is to be captured. Without a job the verdict was
// all that its supervisor came to.
func (v *service) goOnFreezing() {
	if v.life.State != lifecycle.Freezing || v.freezing != nil {
		return
	}
	if !v.life.Alive || !v.set.CanCapture || clock.Boot() >= v.life.Deadline {
		v.step(lifecycle.Event{Kind: lifecycle.EventCaptured, Instance: v.life.Instance, Err: "the supervisor was replaced meanwhile"})
		return
	}
	a := lifecycle.Action{Kind: lifecycle.ActionCapture, Instance: v.life.Instance, Cause: v.life.Cause, Sentence: v.life.Sentence}
	v.prepareJob([]lifecycle.Action{a})
	v.capture(a)
}

// abandonLeft closes the incidents that nobody knows anything of: their keeper
// is gone.
func (s *Supervisor) abandonLeft(left []store.Unfinished) {
	taken := map[string]bool{}
	for _, j := range s.jobs.all {
		taken[j.incident.ID] = true
	}
	for _, u := range left {
		if u.Lost || taken[u.ID] {
			continue
		}
		w, err := s.store.Resume(u.ID)
		if err == nil {
			if cfg, ok := s.config.Service(u.Marker.Service); !ok || !cfg.Capture.KeepCore {
				removeMemory(w.Dir())
			}
			_, err = w.Abandon("vigil ended, or the machine went down, before this incident was complete")
		}
		if err != nil && !errors.Is(err, store.ErrFinished) {
			s.log.Warn("cannot close unfinished incident", zap.String("incident", u.ID), zap.Error(err))
		}
	}
}
