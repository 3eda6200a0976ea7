package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/harmless"
	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/internal/openfiles"
	"github.com/vigil-supervisor/vigil/internal/procsignal"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// reopening is the work of one round, beside the loop: a disk may be slow, and
// so may a service.
type reopening struct {
	log      *capped
	services []*reopeningService
	names    map[openfiles.ID]string // of earlier looks; shared, not changed
	keeper   int
	send     func(context.Context, protocol.Signal) error
	ctx      context.Context
	began    time.Time
}

// reopeningService is the part of one service.
type reopeningService struct {
	result control.ReopenedService
	output *logs.Output

	signal  syscall.Signal // 0: it is not asked to reopen files of its own
	id      string
	tree    tree
	rotated map[openfiles.ID]bool // that it had open before the signal
	found   map[openfiles.ID]string
	stale   []control.Stale
	sent    bool
}

// do reopens all, calls begun when every file of vigil is open anew and every
// signal is sent, and returns when the services have reopened theirs, or time
// is up. names are the files that services have open now.
func (w *reopening) do(begun func()) (report control.Reopened, names map[openfiles.ID]string) {
	ctx, cancel := context.WithTimeoutCause(w.ctx, reopenLimit, fmt.Errorf("not done within %s", reopenLimit))
	defer cancel()
	var ownError error
	w.each(func() { ownError = within(ctx, w.log.reopen) }, func(one *reopeningService) { one.begin(ctx, w) })
	begun()
	w.each(nil, func(one *reopeningService) { one.finish(ctx, w) })

	report = control.Reopened{Services: []control.ReopenedService{}, Stale: []control.Stale{}}
	if ownError != nil {
		report.Error = ownError.Error()
	}
	names = map[openfiles.ID]string{}
	for _, one := range w.services {
		report.Services = append(report.Services, one.result)
		report.Stale = append(report.Stale, one.stale...)
		for id, name := range one.found {
			names[id] = name
		}
	}
	report.Stale = append(report.Stale, w.own()...)
	report.Seconds = time.Since(w.began).Seconds()
	return report, names
}

// maxAtOnce bounds the services that are looked at at a time.
const maxAtOnce = 32

// each runs work for every service, some at a time, and first beside them.
func (w *reopening) each(first func(), work func(*reopeningService)) {
	var all sync.WaitGroup
	if first != nil {
		all.Go(first)
	}
	slots := make(chan struct{}, maxAtOnce)
	for _, one := range w.services {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			work(one)
		})
	}
	all.Wait()
}

// within runs f, which may hang on a dead disk: then a goroutine is left behind
// until the disk answers.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin opens the service's output anew and asks the service for its own files.
func (o *reopeningService) begin(ctx context.Context, w *reopening) {
	switch err := within(ctx, o.output.Reopen); {
	case err == nil:
		o.result.Output = o.output.Path()
	case !errors.Is(err, logs.ErrNoFile):
		o.result.Error = err.Error()
	}
	if o.signal == 0 {
		return
	}
	files, err := o.tree.written()
	if err != nil {
		o.result.Note = "its descriptors cannot be looked at: " + err.Error()
	}
	o.rotated = map[openfiles.ID]bool{}
	for _, f := range files {
		if f.Rotated(f.pid, w.names[f.ID]) {
			o.rotated[f.ID] = true
		}
	}
	o.ask(ctx, w)
}

// ask sends the signal, unless that would end the program.
func (o *reopeningService) ask(ctx context.Context, w *reopening) {
	if o.sent {
		return
	}
	name := signals.Name(o.signal)
	if why := unheard(o.tree.main, o.signal); why != "" {
		o.result.Note = fmt.Sprintf("%s was not sent: %s", name, why)
		return
	}
	o.sent = true
	if err := w.send(ctx, protocol.Signal{ID: o.id, Number: int(o.signal), Scope: protocol.ScopeMain}); err != nil {
		o.result.Note = fmt.Sprintf("%s was not sent: %v", name, err)
		return
	}
	if strings.HasPrefix(o.result.Note, name) {
		o.result.Note = ""
	}
	o.result.Signal, o.result.PID = name, o.tree.main
}

// unheard says why a signal would do something else than to ask: a program that
// has no handler for it yet, or never, is mostly ended by it.
func unheard(pid int, sig syscall.Signal) string {
	answer, err := procsignal.Of(pid, sig)
	switch {
	case err != nil:
		return "" // gone, or closed to us: the keeper will say
	case answer == procsignal.Ignores:
		return fmt.Sprintf("pid %d ignores it", pid)
	case answer == procsignal.Default && !procsignal.Harmless(sig):
		return fmt.Sprintf("pid %d has no handler for it and would be ended", pid)
	}
	return ""
}

// finish waits until no process of the service writes to what was rotated.
func (o *reopeningService) finish(ctx context.Context, w *reopening) {
	if o.signal == 0 {
		return
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		left := o.look()
		if len(left) == 0 {
			return
		}
		o.ask(ctx, w)
		pause.Reset(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			if w.ctx.Err() == nil {
				o.stale = left
			}
			return
		}
	}
}

// look finds which rotated files are still written to, and notes the others.
func (o *reopeningService) look() (left []control.Stale) {
	files, _ := o.tree.written()
	o.found = map[openfiles.ID]string{}
	for _, f := range files {
		if o.rotated[f.ID] {
			left = append(left, f.stale(o.result.Service))
		} else if !f.Deleted {
			o.found[f.ID] = f.Path
		}
	}
	return left
}

// own finds what vigil itself still writes to: the files of standard output and
// error, mostly, which it did not open.
func (w *reopening) own() (stale []control.Stale) {
	for _, pid := range []int{os.Getpid(), w.keeper} {
		files, _ := (tree{main: pid, alone: true}).written()
		for _, f := range files {
			if f.Rotated(pid, w.names[f.ID]) {
				stale = append(stale, f.stale(""))
			}
		}
	}
	return stale
}

// writtenFile is a file with the process that has it open.
type writtenFile struct {
	openfiles.File
	pid int
}

func (f writtenFile) stale(service string) control.Stale {
	return control.Stale{Service: service, Process: comm(f.pid), PID: f.pid, FD: f.FD, Path: f.Path, Deleted: f.Deleted}
}

// comm is the name of a process, "?" when it is gone.
func comm(pid int) string {
	b, err := limited.ReadFile("/proc/"+strconv.Itoa(pid)+"/comm", 64)
	if err != nil {
		return "?"
	}
	return harmless.Text(strings.TrimSuffix(string(b), "\n"), nil)
}

// written lists what all processes of the tree have open for writing. Processes
// that are gone by now have nothing open; the error is about others.
func (t tree) written() (list []writtenFile, err error) {
	pids, err := t.pids()
	for _, pid := range pids {
		files, e := openfiles.Written(pid)
		if e != nil && !errors.Is(e, fs.ErrNotExist) && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
		for _, f := range files {
			list = append(list, writtenFile{f, pid})
		}
	}
	slices.SortFunc(list, func(a, b writtenFile) int {
		if a.pid != b.pid {
			return a.pid - b.pid
		}
		return a.FD - b.FD
	})
	return list, err
}
