package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/conclude"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// analysisTime bounds the reading of a core, and the words of the helper.
const (
	analysisTime = 2 * time.Minute
	maxHelper    = 64 << 10
)

// strayCapture is a snapshot of a process that no vigil keeps.
type strayCapture struct {
	flags   snapshotFlags
	helper  string
	process proctree.Process
	writing *store.Writing
}

func (a *app) snapshotProcess(ctx context.Context, f snapshotFlags) ([]control.SnapshotResult, error) {
	helper := capturePath()
	if helper == "" {
		return nil, &exit{exitSystem, fmt.Errorf("cannot capture: %s was not found beside vigil or in PATH", captureName)}
	}
	process, err := proctree.Read(f.pid)
	if err != nil {
		return nil, nothingf("there is no process %d", f.pid)
	}
	s, err := a.ownStore()
	if err != nil {
		return nil, system(err)
	}
	c := strayCapture{flags: f, helper: helper, process: process}
	now := time.Now().UTC()
	subject := store.Subject{Service: serviceName(f.pid), PID: f.pid, Cause: snapshot.CauseRequested, Sentence: "a snapshot of a process that no vigil keeps"}
	if c.writing, err = s.Begin(subject, now); err != nil {
		return nil, system(err)
	}
	// A vigil that starts meanwhile must not take it for left behind. Where that
	// cannot be said, it would be completed twice, and the second time counts.
	_ = c.writing.Hold()
	return []control.SnapshotResult{c.take(ctx, subject, now)}, nil
}

// ownStore opens the store of the instance, and makes it where there is none.
func (a *app) ownStore() (*store.Store, error) {
	places, _, err := place.Find(a.options())
	if err != nil {
		return nil, err
	}
	state := places[0].State
	if !a.options().GivenState() {
		state = runningState(places[0])
	}
	return store.Open(filepath.Join(state, storeName))
}

// maxComm is longer than any comm, TASK_COMM_LEN of Linux.
const maxComm = 64

// serviceName is a name for a process, which has none: its comm.
func serviceName(pid int) string {
	// One that has ended meanwhile is told by the helper.
	comm, _ := limited.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"), maxComm)
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, strings.TrimSpace(string(comm)))
	if name = strings.Trim(name, "-_."); name == "" {
		return "process"
	}
	return name
}

// take captures and reads. The incident is complete at its end, whatever failed.
func (c *strayCapture) take(ctx context.Context, subject store.Subject, now time.Time) control.SnapshotResult {
	i := snapshot.Incident{Service: subject.Service, PID: subject.PID, Time: now, Cause: subject.Cause, Vigil: version, Ran: []snapshot.Ran{}}
	i.Host, _ = os.Hostname()
	failure := c.capture(ctx)
	evidence := conclude.Read(c.writing.Dir())
	evidence.Merge(&i)
	if evidence.Process != nil {
		i.Command = evidence.Process.Command
	}
	if failure != nil {
		conclude.Missing(&i, "stacks: "+failure.Error())
	}
	evidence.Conclude(&i, subject.Sentence)
	done, err := c.writing.Complete(i)
	r := control.SnapshotResult{Service: i.Service, PID: i.PID, Incident: c.writing.ID(), Status: string(done.Status), Sentence: done.Sentence, Missing: done.Missing}
	if f := done.Freeze; f != nil {
		r.Rung, r.Pause = f.Method, float64(f.Pause)
		for _, no := range f.Refused {
			r.Refused = append(r.Refused, control.Refusal{Rung: no.Rung, Reason: no.Reason})
		}
	}
	switch {
	case err != nil:
		r.Error = err.Error()
	case evidence.Stacks == nil:
		r.Error = "there are no stacks"
		if failure != nil {
			r.Error = failure.Error()
		}
	}
	return r
}

// capture runs the helper twice: to take, and to read.
func (c *strayCapture) capture(ctx context.Context) error {
	dir := c.writing.Dir()
	take := []string{"freeze", "--pid", strconv.Itoa(c.flags.pid), "--start-ticks", strconv.FormatUint(c.process.Ticks, 10),
		"--dir", dir, "--budget", c.flags.budget.String()}
	if err := c.run(ctx, c.flags.budget+time.Minute, take); err != nil {
		return err
	}
	report, err := conclude.Capture(dir)
	if err != nil || report.Core == "" {
		return err // what is missing stands in the report
	}
	read := []string{"analyze", "--dir", dir, "--budget", analysisTime.String()}
	if c.flags.keepCore {
		read = append(read, "--keep-core")
	}
	err = c.run(ctx, analysisTime+10*time.Second, read)
	if !c.flags.keepCore {
		removeCore(dir)
	}
	return err
}

// removeCore removes what a reading that failed has left of the memory.
func removeCore(dir string) {
	for _, name := range []string{snapshot.FileCore, snapshot.FileExe} {
		_ = os.Remove(filepath.Join(dir, name)) // mostly it is gone
	}
}

// run runs the helper to its end. It is told of by its last line.
func (c *strayCapture) run(ctx context.Context, limit time.Duration, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var words bytes.Buffer
	cmd := exec.CommandContext(ctx, c.helper, args...)
	cmd.Stderr = &limitedWriter{w: &words, left: maxHelper}
	// A stop by the terminal must not reach it while it holds the process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: it was not done within %s", captureName, args[0], limit)
	}
	text := strings.TrimSpace(words.String())
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if text = strings.TrimPrefix(text, captureName+": "); text == "" {
		return fmt.Errorf("%s %s: %w", captureName, args[0], err)
	}
	return errors.New(text)
}

// limitedWriter takes so many bytes, and swallows the rest.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	part := b[:min(len(b), l.left)]
	l.left -= len(part)
	if _, err := l.w.Write(part); err != nil {
		return 0, err
	}
	return len(b), nil
}
