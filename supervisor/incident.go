package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
	"github.com/vigil-supervisor/vigil/snapshot/collect/gotext"
	"github.com/vigil-supervisor/vigil/snapshot/conclude"
	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// complete writes what the supervisor knows beside what the helper found, and
// closes the incident. It runs on a goroutine of the job.
func (j *job) complete() (snapshot.Incident, error) {
	j.settle()
	j.keepSuspicion()
	evidence := conclude.Read(j.writing.Dir())
	evidence.Merge(&j.incident)
	j.keepCore()
	if !j.capture.KeepCore {
		removeMemory(j.writing.Dir())
	}
	output := j.allOutput()
	if said := j.lastWords(output); said != "" {
		j.verdict = said + "; " + j.verdict
	}
	j.readTraceback(&evidence, output)
	evidence.Conclude(&j.incident, j.verdict)
	if j.own != "" && evidence.Stacks != nil {
		j.incident.Sentence = j.ownSentence(*evidence.Stacks)
	}
	if err := j.writing.WriteJSON(snapshot.FileTimeline, j.moments); err != nil {
		j.missing("timeline: " + err.Error())
	}
	j.writeSamples()
	if output != "" {
		if err := j.writing.WriteFile(snapshot.FileOutput, []byte(output)); err != nil {
			j.missing("last output: " + err.Error())
		}
	}
	j.incident.Status = snapshot.StatusComplete
	if len(j.incident.Missing) > 0 {
		j.incident.Status = snapshot.StatusPartial
	}
	return j.writing.Complete(j.incident)
}

// readTraceback takes from the output what Go printed at its end: the goroutines,
// where nothing better has them, and why.
func (j *job) readTraceback(e *conclude.Evidence, output string) {
	if j.runtime != "go" || j.onFree != nil || !strings.Contains(output, "\n") {
		return
	}
	text, found := gotext.Parse([]byte(output), stripOutput)
	switch {
	case !found:
		return
	case e.Stacks == nil:
		text.PID = j.pid
		e.Stacks = &text
	case e.Stacks.Crash == nil && text.Crash != nil && j.incident.Exit != nil:
		e.Stacks.Crash = text.Crash
	default:
		return
	}
	if err := j.writing.WriteJSON(snapshot.FileStacks, e.Stacks); err != nil {
		j.missing("stacks: " + err.Error())
	}
}

// stripOutput takes time and stream off a line of outputOf.
func stripOutput(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	_, rest, _ = strings.Cut(rest, " ")
	return rest
}

// ownSentence is the sentence of a supervisor that was silent: what its loop
// did. Who waits beside the loop waits for it, unless it is a deadlock.
func (j *job) ownSentence(stacks snapshot.Stacks) string {
	verdict := j.verdict + loopStands(stacks)
	if len(stacks.Deadlocks) == 0 {
		return analyze.Sentence(j.incident.Cause, verdict, nil)
	}
	return analyze.Sentence(j.incident.Cause, verdict, &stacks)
}

// keepCore puts a core of the kernel where it belongs: into the incident when
// it shall be kept, else nowhere, since it holds every secret of the program.
func (j *job) keepCore() {
	if j.core == "" {
		return
	}
	if j.capture.KeepCore {
		err := os.Rename(j.core, filepath.Join(j.writing.Dir(), snapshot.FileCore))
		if err != nil && !j.keptBefore(err) {
			j.missing("core: it stays at " + j.core + ": " + err.Error())
		}
		return
	}
	if err := os.Remove(j.core); err != nil && !j.keptBefore(err) {
		j.missing("core: cannot remove it: " + err.Error())
	}
}

// keptBefore: the core is not there because a former supervisor came as far.
func (j *job) keptBefore(err error) bool { return j.takenUp && errors.Is(err, fs.ErrNotExist) }

// removeMemory removes what an analysis that was killed left of the process's
// memory. The analysis does it itself when it ends well.
func removeMemory(dir string) {
	for _, name := range []string{snapshot.FileCore, snapshot.FileCore + ".tmp", snapshot.FileExe, snapshot.FileExe + ".tmp"} {
		// What is not there is as good as removed; what cannot be removed shows
		// in the incident's files.
		_ = os.Remove(filepath.Join(dir, name))
	}
}

// maxOutputFile bounds the output of an incident, as the store does.
const maxOutputFile = 8 << 20

// fatalPrefixes begin the line in which a runtime says why it ends: Go's panic
// and fatal error, a C library's abort, a JVM's last words.
var fatalPrefixes = []string{"panic: ", "fatal error: ", "# A fatal error has been detected", "terminate called after", "*** ",
	"java.lang.OutOfMemoryError", "Terminating due to java.lang.OutOfMemoryError", "Aborting due to java.lang.OutOfMemoryError"}

// maxWords bounds what of such a line goes into the sentence.
const maxWords = 200

// lastWords is what the program itself said of an end that nobody asked for.
func (j *job) lastWords(output string) string {
	switch j.incident.Cause {
	case snapshot.CauseCrash, snapshot.CauseExit, snapshot.CauseKilled:
	default:
		return ""
	}
	for line := range strings.Lines(output) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3) // time, stream, text
		if len(words) < 3 {
			continue
		}
		for _, p := range fatalPrefixes {
			if strings.HasPrefix(words[2], p) {
				text := strings.ToValidUTF8(words[2], "?")
				if len(text) > maxWords {
					text = strings.ToValidUTF8(text[:maxWords], "") + "..."
				}
				return text
			}
		}
	}
	return ""
}

// keepOutput writes what the instance has said so far: it is in our memory
// only, and a successor shall have it. It need not outlive the machine.
func (j *job) keepOutput(dir string) {
	if text := j.output(); text != "" {
		_ = os.WriteFile(filepath.Join(dir, snapshot.FileOutput), []byte(text), 0o600)
	}
}

// allOutput is the output of the instance, with what a former supervisor kept.
func (j *job) allOutput() string {
	text, masked := outputOf(j.inst)
	j.incident.Masked = append(j.incident.Masked, masked...)
	if !j.takenUp {
		return text
	}
	before, err := limited.ReadFile(filepath.Join(j.writing.Dir(), snapshot.FileOutput), maxOutputFile)
	if err != nil {
		return text // nothing was kept
	}
	text = string(before) + text
	return text[max(0, len(text)-maxOutputFile):]
}

// output is the last output of the instance, as far as we have read it.
func (j *job) output() string {
	text, _ := outputOf(j.inst)
	return text
}

func outputOf(inst *logs.Instance) (output string, masked []snapshot.Masked) {
	if inst == nil {
		return "", nil
	}
	var b strings.Builder
	var mask snapshot.LineMasker
	for _, l := range inst.Lines(-1) {
		text, rule := mask.Line(l.Text)
		if rule != "" {
			masked = snapshot.AddMasked(masked, "output", "", rule)
		}
		fmt.Fprintf(&b, "%s %s %s\n", l.Wall.UTC().Format("2006-01-02T15:04:05.000Z"), l.Stream, text)
	}
	return b.String(), masked
}

// retention are the bounds of the store, as they are configured now.
func (s *Supervisor) retention() store.Policy {
	i := s.config.Incidents
	floor := func(f config.Free) store.Floor { return store.Floor{Least: f.Bytes, Percent: f.Percent} }
	return store.Policy{
		MaxBytes: i.MaxBytes, MaxAge: i.MaxAge, MinFree: floor(i.MinFree),
		MinFreeInodes: store.Floor{Percent: i.MinFreeInodes}, MaxPerFingerprint: i.MaxPerFingerprint,
	}
}

func (s *Supervisor) prune(p store.Policy) []store.Removal {
	removed, _, err := s.store.Prune(p, time.Now())
	if err != nil {
		s.log.Warn("the bounds of the incidents are not kept", zap.Error(err))
	}
	return removed
}

// tellPruned makes known what the bounds removed.
func (s *Supervisor) tellPruned(removed []store.Removal) {
	for _, r := range removed {
		s.event("", "pruned", fmt.Sprintf("%s: %s", r.What(), r.Reason))
	}
}

// exitOf words an end for the data model.
func exitOf(e *protocol.Exit) *snapshot.Exit {
	if e == nil || e.Unknown {
		return nil
	}
	ws := syscall.WaitStatus(e.Status)
	x := &snapshot.Exit{
		Code: -1, UserTime: snapshot.SecondsOf(e.User), SystemTime: snapshot.SecondsOf(e.System),
		MaxRSS: e.MaxRSS, MajorFault: e.Major, Voluntary: e.Vol, Involunt: e.Invol,
	}
	if ws.Exited() {
		x.Code = ws.ExitStatus()
	} else {
		x.Signal, x.CoreDumped = signals.Name(ws.Signal()), ws.CoreDump()
	}
	return x
}
