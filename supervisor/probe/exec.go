package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exec runs a program: exit status 0 is well, anything else is not. The first
// line of its output is shown.
//
// The program has a session of its own, and a cgroup where one can be made.
// What it has started is killed when it ends or its time is over. When the
// supervisor is killed, the kernel kills the program (PR_SET_PDEATHSIG; not one
// that is set-user-ID, prctl(2)), and the next supervisor's first attempt what
// the program had started.
type Exec struct {
	Command []string // a name without a slash is looked for in the supervisor's PATH
	Dir     string
	Env     []string // all of it: nothing is inherited
	// Credential is nil for the supervisor's own.
	Credential *syscall.Credential
	// Cgroup is the directory of the service's cgroup, beside which the program
	// gets one; "": without one, and with what proctree finds.
	Cgroup string
	// MemoryMax bounds the memory of the program and what it starts, in bytes;
	// 0: 256 MiB. Without a memory controller it is looked at every 100 ms.
	MemoryMax int64
}

// Bounds of a run.
const (
	defaultMemory = 256 << 20
	maxOutput     = 4096 // read; the rest is thrown away
	killTime      = time.Second
)

var errClosed = errors.New("the probe is closed")

type execRunner struct {
	Exec
	name string // the same for the same probe of a later supervisor
	life context.Context
	end  context.CancelCauseFunc
	last *run // nil when nothing of an earlier attempt is left

	// Of the run that is under way.
	swept   bool // what a dead supervisor left without a cgroup is gone
	noGroup bool // it goes without a cgroup
}

// NewExec returns the runner of a program. It starts nothing.
func NewExec(e Exec) Runner {
	if e.MemoryMax <= 0 {
		e.MemoryMax = defaultMemory
	}
	e.Command, e.Env = slices.Clone(e.Command), slices.Clone(e.Env)
	r := &execRunner{Exec: e, name: names.take(e), noGroup: e.Cgroup == ""}
	r.life, r.end = context.WithCancelCause(context.Background())
	return r
}

func (r *execRunner) Attempt(ctx context.Context, sent func()) Result {
	began := time.Now()
	if len(r.Command) == 0 {
		return bad("cannot start the program: no command")
	}
	if r.last != nil && !r.last.over() {
		return bad("not started: the processes of an earlier attempt cannot be killed, %s", r.last.left())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.life, func() { cancel(context.Cause(r.life)) })()
	n := &notice{sent: sent}
	defer n.end()
	// The run has a context of its own: it must go on to kill after ours.
	r.last = newRun(r, n)
	go r.last.do(ctx)
	if res, ok := r.last.wait(ctx, began); ok {
		r.last = nil
		return res
	}
	return bad("%s, and it cannot be killed: %s", silence(ctx, began), r.last.left())
}

// Close kills what is left. The error tells of processes that do not die of
// that: they are waited for by a goroutine that ends with them.
func (r *execRunner) Close() error {
	r.end(errClosed)
	names.give(r.name)
	if r.last == nil {
		return nil
	}
	late := time.NewTimer(killTime)
	defer late.Stop()
	select {
	case <-r.last.done:
		return nil
	case <-late.C:
		return fmt.Errorf("cannot end the probe %q: its processes cannot be killed, %s", r.Command[0], r.last.left())
	}
}

// firstLine is the first line that says something.
func firstLine(out []byte) string {
	for l := range bytes.Lines(out) {
		if s := strings.TrimSpace(string(l)); s != "" {
			return s
		}
	}
	return ""
}
