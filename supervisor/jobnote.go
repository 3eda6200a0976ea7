package supervisor

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// stage is how far a job has come. It is noted at the keeper before what it
// names is done, so a successor finds the job there or a little before there,
// and every stage can be gone through twice.
type stage string

const (
	stageBegin    stage = "begin"    // the directory is being made
	stageCapture  stage = "capture"  // a helper takes the stacks of a live process
	stageTrace    stage = "trace"    // a permanent tracer finishes what it saw at the end
	stageCore     stage = "core"     // the kernel's core is looked for
	stageAnalyse  stage = "analyse"  // waiting for the analysis, or in it
	stageComplete stage = "complete" // the last files are being written
)

// jobNote is what a successor needs to go on with a job.
type jobNote struct {
	Incident  snapshot.Incident `json:"incident"`
	Stage     stage             `json:"stage"`
	Verdict   string            `json:"verdict"`
	Live      bool              `json:"live"` // it captures a process that lives; else it looks at an end
	Ticks     uint64            `json:"ticks,omitempty"`
	Exe       string            `json:"exe,omitempty"`
	Runtime   string            `json:"runtime,omitempty"`
	Rules     captureRules      `json:"rules"`
	WorkDir   string            `json:"work_dir,omitempty"`
	StartWall time.Time         `json:"start_wall"`
	Core      string            `json:"core,omitempty"`
	Own       string            `json:"own,omitempty"`
	TraceDir  string            `json:"trace_dir,omitempty"`
	Farewell  bool              `json:"farewell,omitempty"` // its target is to end by itself
	Helper    string            `json:"helper,omitempty"`
	Deadline  time.Duration     `json:"deadline,omitempty"` // CLOCK_BOOTTIME
	Moments   []snapshot.Moment `json:"moments,omitempty"`  // the newest before the note was written
}

// jobKey begins the keys of these notes. No service has a colon in its name.
const jobKey = "job:"

// Bounds of a note. The keeper takes 256 KiB; a burst of ends makes many.
const (
	maxJobNote = 128 << 10
	maxStory   = 16 << 10 // bytes of moments
	// A service's own note is written at each of its steps.
	maxServiceStory = 4 << 10
	momentBytes     = 100 // of a moment beside its text, in JSON
)

// key names the job's note; sorted keys are in the order of the verdicts.
func (j *job) key() string {
	return fmt.Sprintf("%s%020d:%s", jobKey, j.incident.Time.UnixNano(), j.incident.Service)
}

// reach notes that the job is about to do what stage says.
func (j *job) reach(st stage) {
	j.stage = st
	j.save()
}

// save puts the note. It must not be called once the job is over: complete has
// the incident then.
func (j *job) save() {
	if j.over || j.s.store == nil {
		return
	}
	n := jobNote{
		Incident: j.incident, Stage: j.stage, Verdict: j.verdict, Live: j.live, Ticks: j.ticks, Exe: j.exe, Runtime: j.runtime,
		Rules: j.capture, WorkDir: j.workDir, StartWall: j.startWall, Core: j.core, Own: j.own, TraceDir: j.traceDir, Farewell: j.farewell, Helper: j.helper, Deadline: j.deadline,
		Moments: newest(j.story(), maxStory),
	}
	text, err := json.Marshal(n)
	if err == nil && len(text) > maxJobNote {
		// Only a command of many kilobytes comes here; the process's own
		// description has it too.
		n.Incident.Command, n.Moments = nil, nil
		text, err = json.Marshal(n)
	}
	if err == nil && len(text) > maxJobNote {
		err = fmt.Errorf("it has %d bytes, the limit is %d", len(text), maxJobNote)
	}
	if err != nil {
		j.s.log.Warn("an incident in the making cannot be noted; it ends with this supervisor", zap.String("incident", j.incident.ID), zap.Error(err))
		return
	}
	j.s.ask(protocol.TPutNote, protocol.Note{Key: j.key(), Text: text})
}

// forget drops the note.
func (j *job) forget() {
	if j.s.store != nil {
		j.s.ask(protocol.TPutNote, protocol.Note{Key: j.key()})
	}
}

// story is the service's timeline, with what former supervisors noted of it.
func (j *job) story() []snapshot.Moment {
	if j.v == nil {
		return j.moments
	}
	return follow(j.moments, j.v.timeline.copy())
}

// follow appends to old what is later than it.
func follow(old, later []snapshot.Moment) []snapshot.Moment {
	if len(old) == 0 {
		return later
	}
	all, last := old[:len(old):len(old)], old[len(old)-1].Boot
	for _, m := range later {
		if m.Boot > last {
			all = append(all, m)
		}
	}
	return all
}

// newest keeps as many of the last moments as fit.
func newest(all []snapshot.Moment, limit int) []snapshot.Moment {
	for i := len(all) - 1; i >= 0; i-- {
		if limit -= momentBytes + len(all[i].Text); limit < 0 {
			return all[i+1:]
		}
	}
	return all
}

// parseJobNote reads a note. An error says that nothing can be done with it.
func parseJobNote(text []byte) (jobNote, error) {
	var n jobNote
	if err := json.Unmarshal(text, &n); err != nil {
		return n, fmt.Errorf("cannot read the note of an incident: %w", err)
	}
	if n.Incident.Service == "" || n.Incident.Time.IsZero() {
		return n, fmt.Errorf("cannot read the note of an incident: it does not say whose")
	}
	switch n.Stage {
	case stageBegin, stageCapture, stageTrace, stageCore, stageAnalyse, stageComplete:
		return n, nil
	}
	return n, fmt.Errorf("cannot read the note of an incident: stage %q is not known", strings.ToValidUTF8(string(n.Stage), "?"))
}
