package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// run is one attempt's processes, from before the first to after the last. It
// outlives its attempt only where they cannot be killed.
type run struct {
	r      *execRunner
	notice *notice
	done   chan struct{} // closed when nothing is left

	// Written before done is closed.
	err    error // cannot be started
	state  *os.ProcessState
	output []byte
	why    string // it was killed for that

	mu   sync.Mutex
	tree tree // nil before the start
}

func newRun(r *execRunner, n *notice) *run {
	return &run{r: r, notice: n, done: make(chan struct{})}
}

// do is the run. A parent-death signal is tied to the thread that forked, so
// that thread stays until the program is gone.
func (u *run) do(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(u.done)
	out, in, err := os.Pipe()
	if err != nil {
		u.err = err
		return
	}
	defer out.Close()
	cmd, err := u.start(in)
	_ = in.Close() // the program has it
	if err != nil {
		u.err = err
		return
	}
	u.notice.tell()
	read := make(chan struct{})
	go func() { defer close(read); u.output = readHead(out) }()
	exited, killed := make(chan struct{}), make(chan struct{})
	go func() { defer close(killed); u.guard(ctx, exited) }()
	_ = cmd.Wait() // state tells all
	close(exited)
	u.state = cmd.ProcessState
	<-killed
	// All writers are gone, so this ends at once. If the pipe was passed to a
	// stranger, it does not.
	_ = out.SetReadDeadline(time.Now().Add(killTime))
	<-read
	u.tree.remove()
}

// start starts the program, without a cgroup where that cannot be had.
func (u *run) start(out *os.File) (*exec.Cmd, error) {
	r := u.r
	if !r.noGroup {
		t, err := makeGroup(r.Cgroup, r.name, r.MemoryMax)
		if err == nil {
			var cmd *exec.Cmd
			if cmd, err = u.startIn(t, out); err == nil {
				return cmd, nil
			}
			t.remove()
			if errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		} else if t.Path() != "" {
			return nil, fmt.Errorf("processes that a dead supervisor left cannot be killed: %w", err)
		}
	}
	t := newWalkTree(r.name)
	if !r.swept {
		if err := t.kill(); err != nil {
			return nil, fmt.Errorf("processes that a dead supervisor left cannot be killed: %w", err)
		}
		r.swept = true
	}
	cmd, err := u.startIn(t, out)
	if err == nil {
		r.noGroup = true // clone3(2) refused, not the program
	}
	return cmd, err
}

func (u *run) startIn(t tree, out *os.File) (*exec.Cmd, error) {
	r := u.r
	cmd := exec.Command(r.Command[0], r.Command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.Dir, out, out
	cmd.Env = append(slices.Clone(r.Env), markName+"="+r.name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: r.Credential}
	if g, ok := t.(groupTree); ok {
		fd, err := g.OpenDir()
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	}
	u.setTree(t)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if w, ok := t.(walkTree); ok {
		// It is not reaped yet, so the pid is its own.
		if p, err := proctree.Read(cmd.Process.Pid); err == nil {
			w.Started(p)
		}
	}
	return cmd, nil
}

// guard kills when time or memory is used up, and what is left when the program
// has ended. It ends when nothing is left.
func (u *run) guard(ctx context.Context, exited <-chan struct{}) {
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	for u.why == "" {
		select {
		case <-exited:
			u.killAll()
			if u.tree.outOfMemory() {
				u.why = u.tooMuch("more")
			}
			return
		case <-ctx.Done():
			u.killAll()
			return
		case <-tick.C:
			if used := memoryOf(u.tree.pids()); used > u.r.MemoryMax {
				u.why = u.tooMuch(fmt.Sprintf("%d MiB", used>>20))
			}
		}
	}
	u.killAll()
}

func (u *run) tooMuch(used string) string {
	return fmt.Sprintf("killed: it used %s of the %d MiB of memory that it may use", used, u.r.MemoryMax>>20)
}

// killAll goes on until nothing is left; each round takes killTime at most.
func (u *run) killAll() {
	for {
		began := time.Now()
		if u.tree.kill() == nil {
			return
		}
		if rest := killTime - time.Since(began); rest > 0 {
			<-time.After(rest) // failed at once: not in a tight loop
		}
	}
}

func (u *run) setTree(t tree) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tree = t
}

// over says whether nothing is left.
func (u *run) over() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// wait returns the result, or false when processes are left killTime after the
// end of ctx.
func (u *run) wait(ctx context.Context, began time.Time) (Result, bool) {
	select {
	case <-u.done:
		return u.result(ctx, began), true
	case <-ctx.Done():
	}
	late := time.NewTimer(killTime)
	defer late.Stop()
	select {
	case <-u.done:
		return u.result(ctx, began), true
	case <-late.C:
		return Result{}, false
	}
}

// left names a process that is left, and its state.
func (u *run) left() string {
	u.mu.Lock()
	t := u.tree
	u.mu.Unlock()
	g, ok := t.(groupTree)
	if !ok {
		// A walkTree belongs to the guard.
		return "without a cgroup it is not known which"
	}
	for _, pid := range g.pids() {
		return fmt.Sprintf("process %d is in state %s", pid, stateOf(pid))
	}
	return "its start has not ended"
}

// stateOf is the letter of the kernel, such as D.
func stateOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "?"
	}
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == ')' && i+2 < len(text) {
			return string(text[i+2])
		}
	}
	return "?"
}

// result is for a run that is over.
func (u *run) result(ctx context.Context, began time.Time) Result {
	said := firstLine(u.output)
	tail := ""
	if said != "" {
		tail = ": " + said
	}
	switch {
	case u.err != nil:
		return bad("cannot start the program: %v", u.err)
	case u.why != "":
		return bad("%s%s", u.why, tail)
	case u.state.Success() && said == "":
		return good("exit status 0")
	case u.state.Success():
		return good("%s", said)
	case ctx.Err() != nil:
		return bad("%s%s", silence(ctx, began), tail)
	}
	if ws, ok := u.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return bad("killed by %s%s", unix.SignalName(ws.Signal()), tail)
	}
	return bad("exit status %d%s", u.state.ExitCode(), tail)
}

// readHead reads to the end and keeps the beginning.
func readHead(f *os.File) []byte {
	data, err := io.ReadAll(io.LimitReader(f, maxOutput))
	if err == nil {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{f}) // what is not read would hold the program up
	}
	return data
}
