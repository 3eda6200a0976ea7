package supervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Kinds of work of vigil-capture; they begin the keys of its runs.
const (
	helperCapture = "capture"
	helperAnalyse = "analyze"
)

// startHelper starts vigil-capture as a child of the keeper. Who it is has been
// noted before: a successor finds it, or knows that it has to start another.
func (j *job) startHelper(what string, args []string, files []*os.File) {
	s := j.s
	s.jobs.seq++
	start := protocol.Start{
		Key: what + ":" + j.incident.Service, Instance: s.jobs.seq, Path: s.opt.CaptureHelper, Args: append([]string{"vigil-capture"}, args...),
		Env: helperEnvironment(), Dir: "/", Output: protocol.OutputPipe, Helper: true, Passed: len(files),
		NoNewPrivs: true, Bounding: rightsOf(what),
	}
	j.helper, j.stderr = protocol.ID(start.Key, start.Instance), nil
	j.save()
	s.jobs.running[j.helper] = j
	s.check(s.keeper.send(protocol.TStart, start, files, func(m protocol.Message) {
		if m.Type != protocol.TStarted {
			_, err := replyError(m)
			j.helperOver(fmt.Sprintf("cannot start vigil-capture: %v", err))
			return
		}
		j.attach(takeChildFiles(m.Files, nil))
	}))
}

// attach reads what the helper says: progress while it captures, and its last
// words.
func (j *job) attach(f childFiles) {
	if f.pidfd != nil {
		f.pidfd.Close()
	}
	stderr := &tailBuffer{}
	j.stderr = stderr
	if f.err != nil {
		go func() { _, _ = io.Copy(stderr, f.err); f.err.Close() }()
	}
	if f.out != nil {
		read := j.readProgress
		if j.stage == stageAnalyse {
			read = func(f *os.File) { _, _ = io.Copy(io.Discard, f) }
		}
		go func() { read(f.out); f.out.Close() }()
	}
}

// rightsOf are the capabilities of one kind of work of vigil-capture.
func rightsOf(what string) *uint64 {
	if what == helperAnalyse {
		return protocol.ReadingRights
	}
	return protocol.TakingRights
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

// twinTime bounds the copy of a twin; the helper's own bound is less.
const twinTime = 6 * time.Minute

// maxProgress bounds one line of progress and the number of them.
const maxProgress = 64 << 10

func (j *job) readProgress(f *os.File) {
	lines := bufio.NewScanner(io.LimitReader(f, maxProgress))
	for lines.Scan() {
		var p snapshot.Progress
		if json.Unmarshal(lines.Bytes(), &p) != nil {
			continue
		}
		j.s.post(func() { j.onProgress(p) })
	}
}

// onProgress takes one line. A line that a former supervisor has read and not
// acted on does not come again: then the next one frees the target, or the end
// of the helper, or the deadline of the freeze.
func (j *job) onProgress(p snapshot.Progress) {
	if j.over {
		return
	}
	if j.twin = p.Twin; j.twin != 0 {
		j.deadline = clock.Boot() + twinTime // nothing waits for the copy
	}
	switch p.Stage {
	case snapshot.StageReleased, snapshot.StageDone:
		if p.Stage == snapshot.StageReleased && p.Reason != "" {
			j.s.event(j.incident.Service, "capture", "partial: "+p.Reason)
		}
		j.free("")
	case snapshot.StageFailed:
		j.missing("stacks: " + p.Error)
		j.free(p.Error)
	}
}

// onEvent takes the events of helpers, and with them their descriptors.
func (q *jobs) onEvent(s *Supervisor, e protocol.Event, files childFiles) bool {
	if !strings.HasPrefix(e.Key, helperCapture+":") && !strings.HasPrefix(e.Key, helperAnalyse+":") {
		return false
	}
	id := protocol.ID(e.Key, e.Inst)
	j, ok := q.running[id]
	if ok && e.Kind == protocol.EventStarted && j.stderr == nil { // asked for by a former supervisor
		j.attach(files)
		return true
	}
	files.close()
	switch {
	case ok && e.Kind == protocol.EventStartFailed:
		j.helperOver("cannot start vigil-capture: " + e.Failure.Error)
	case ok && e.Kind == protocol.EventExited:
		j.helperEnded(id, e.Exit)
	case !ok && (e.Kind == protocol.EventExited || e.Kind == protocol.EventEmpty):
		s.ask(protocol.TRelease, protocol.Name{Name: id})
	}
	return true
}

// helperEnded takes the end of the helper, and lets the keeper forget it.
func (j *job) helperEnded(id string, exit *protocol.Exit) {
	if j.s.jobs.running[id] != j {
		return
	}
	why := ""
	if ws := syscall.WaitStatus(exit.Status); !ws.Exited() || ws.ExitStatus() != 0 {
		why = "vigil-capture ended with " + describeEnd(endOf(exit))
		if j.stderr != nil && j.stderr.last() != "" {
			why += ": " + j.stderr.last()
		}
	}
	j.s.ask(protocol.TKill, protocol.Kill{ID: id})
	j.s.ask(protocol.TRelease, protocol.Name{Name: id})
	j.helperOver(why)
}
