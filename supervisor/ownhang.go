package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
	"github.com/vigil-supervisor/vigil/snapshot/conclude"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// OwnName is the service of incidents of vigil itself. No service of a
// configuration can have it: names begin with a letter or a digit.
const OwnName = "@vigil"

// ownAnalysis bounds the analysis of a hang of our own.
const ownAnalysis = time.Minute

// maxHangWords bounds what the helper that the keeper started has said.
const maxHangWords = 4 << 20

// takeOwnHangs makes incidents of the supervisors that hung and that the keeper
// captured before it ended them.
func (s *Supervisor) takeOwnHangs(left []store.Unfinished) {
	if s.store == nil {
		return
	}
	taken := map[string]bool{}
	for _, j := range s.jobs.all {
		taken[j.own] = true
	}
	root := filepath.Join(s.opt.StateDir, protocol.HangDir)
	entries, err := os.ReadDir(root) // sorted, so oldest first
	if err != nil {
		return // there has never been one
	}
	for _, e := range entries[:min(len(entries), protocol.MaxHangs)] {
		dir := filepath.Join(root, e.Name())
		if taken[dir] {
			continue
		}
		h, err := readHang(dir)
		if err != nil {
			// Cut short, or another's: what is in it would wait for ever.
			s.log.Warn("the capture of a former supervisor cannot be used", zap.String("directory", dir), zap.Error(err))
			_ = os.RemoveAll(dir)
			continue
		}
		s.takeOwnHang(dir, h, left)
	}
}

func readHang(dir string) (protocol.Hang, error) {
	b, err := limited.ReadFile(filepath.Join(dir, protocol.HangFile), protocol.MaxHang)
	if err != nil {
		return protocol.Hang{}, err
	}
	return protocol.DecodeHang(b)
}

func (s *Supervisor) takeOwnHang(dir string, h protocol.Hang, left []store.Unfinished) {
	host, _ := os.Hostname()
	silent := fmt.Sprintf("supervisor pid %d gave no sign of life for %s", h.PID, human(h.Silent))
	j := &job{
		s: s, own: dir, stage: stageBegin, verdict: silent, pid: h.PID, ticks: h.Ticks, runtime: "go", released: true,
		capture: captureRules{Analysis: ownAnalysis},
	}
	j.incident = snapshot.Incident{
		Schema: snapshot.SchemaVersion, Service: OwnName, Instance: h.Epoch, PID: h.PID, Time: h.Time, Host: host,
		Cause: snapshot.CauseHang, Sentence: silent, Command: []string{"vigil", "supervisor"},
		Uptime: snapshot.SecondsOf(h.Uptime), Vigil: h.Version, Ran: []snapshot.Ran{}, Files: []snapshot.FileInfo{},
	}
	j.moments = []snapshot.Moment{
		{Time: h.Time.Add(-h.Uptime), Boot: h.Boot - h.Uptime, Kind: "start", Text: fmt.Sprintf("started as pid %d", h.PID)},
		{Time: h.Time.Add(-h.Silent), Boot: h.Boot - h.Silent, Kind: "beat", Text: "the last sign of life"},
		{Time: h.Time, Boot: h.Boot, Kind: "verdict", Text: "hang: " + silent},
	}
	if h.Missing != "" {
		j.missing("stacks: " + h.Missing)
	}
	s.jobs.all = append(s.jobs.all, j)
	j.save()
	s.event(OwnName, "alert", silent+"; the keeper has ended it, and services ran on")
	// Begun before, by a supervisor whose note came to nothing.
	if id := idOf(j.incident, left); id != "" {
		if w, err := s.store.Resume(id); err == nil {
			j.writing, j.incident.ID = w, id
		}
	}
	j.takeOwn()
}

// takeOwn moves the keeper's capture into the incident. It can be done again.
func (j *job) takeOwn() {
	if j.writing != nil {
		j.moveOwn()
		return
	}
	j.begin(func(err error) {
		if err != nil {
			j.s.log.Warn("cannot keep an incident of our own", zap.Error(err))
			j.finish()
			return
		}
		j.save()
		j.moveOwn()
	})
}

func (j *job) moveOwn() {
	from, to := j.own, j.writing.Dir()
	go func() {
		words, err := moveCapture(from, to)
		j.s.post(func() { j.ownMoved(words, err) })
	}()
}

// moveCapture moves what vigil-capture wrote, and removes the rest. words is
// what it said at the end of its life.
func moveCapture(from, to string) (words string, err error) {
	var failed []error
	for _, name := range []string{snapshot.FileProcess, snapshot.FileCore, snapshot.FileExe, snapshot.FileCapture} {
		err := os.Rename(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	if b, err := limited.ReadFile(filepath.Join(from, protocol.HangWords), maxHangWords); err == nil {
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		words = strings.ToValidUTF8(lines[len(lines)-1], "?")
		words = words[:min(len(words), maxWords)]
	}
	failed = append(failed, os.RemoveAll(from))
	return words, errors.Join(failed...)
}

func (j *job) ownMoved(words string, err error) {
	if err != nil {
		j.missing("the keeper's capture is not whole: " + err.Error())
	}
	report, err := conclude.Capture(j.writing.Dir())
	switch {
	case err != nil:
		if len(j.incident.Missing) == 0 {
			j.missing(strings.TrimSuffix("stacks: the keeper's capture did not come to its end: "+words, ": "))
		}
	case report.Core == "":
	case j.s.opt.CaptureHelper == "":
		j.missing("stacks: not analysed: vigil-capture was not found")
	default:
		j.queueAnalysis()
		return
	}
	j.finish()
}

// loopStands says where the loop of a supervisor is, "" when it was not read.
func loopStands(st snapshot.Stacks) string {
	for _, g := range st.Groups {
		for _, f := range g.Frames {
			if !strings.HasSuffix(f.Function, loopFunction) {
				continue
			}
			text := "; its loop is " + g.Status
			if own, ok := analyze.OwnFrame(g.Frames); ok {
				text = fmt.Sprintf("; its loop is in %s:%d", filepath.Base(own.File), own.Line)
			}
			if g.WaitReason != "" {
				text += ", waiting in " + g.WaitReason
			}
			return text
		}
	}
	return ""
}

// loopFunction is the end of the loop's name in a stack.
const loopFunction = "supervisor.(*Supervisor).loop"
