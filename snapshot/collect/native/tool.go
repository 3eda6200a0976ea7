package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Bounds of what a tool may write.
const (
	maxToolOutput = 16 << 20
	maxToolErrors = 16 << 10
)

// toolDelay is how long the pipes of a tool that was killed may stay open.
const toolDelay = 100 * time.Millisecond

// output is what a tool wrote.
type output struct {
	text   []byte
	errors []byte
	cut    bool  // there was more
	err    error // how it ended, where not by exit status 0
	late   bool  // it was killed because its time was up
}

// runTool runs a command in its own process group, and kills the group when ctx
// is done. The error says that it could not be started.
func runTool(ctx context.Context, name string, args ...string) (output, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return output{}, fmt.Errorf("cannot run %s: %w", name, errAbsent)
	}
	type answer struct {
		output
		err error
	}
	done := make(chan answer, 1)
	go func() {
		// The kernel ties the death signal to the thread that forked: it has to
		// stay until the tool ends. It is given up then, with its thread.
		runtime.LockOSThread()
		out, err := runLocked(ctx, path, args)
		done <- answer{out, err}
	}()
	a := <-done
	return a.output, a.err
}

func runLocked(ctx context.Context, path string, args []string) (output, error) {
	var text, errs limited
	text.left, errs.left = maxToolOutput, maxToolErrors
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &text, &errs
	cmd.Dir = "/"
	cmd.Env = toolEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = toolDelay
	if err := cmd.Start(); err != nil {
		return output{}, fmt.Errorf("cannot run %s: %w", path, err)
	}
	err := cmd.Wait()
	// What it left behind in its group has nothing more to do.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return output{
		text: text.Bytes(), errors: errs.Bytes(), cut: text.cut,
		err: err, late: ctx.Err() != nil && err != nil,
	}, nil
}

// toolEnvironment keeps a tool from the network (debuginfod), from start files of
// a home directory and from translated messages.
func toolEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "DEBUGINFOD_URLS=", "TERM=dumb"}
}

// limited keeps the first bytes and drops the rest: a tool must not block on us.
type limited struct {
	bytes.Buffer
	left int
	cut  bool
}

func (l *limited) Write(p []byte) (int, error) {
	keep := min(len(p), l.left)
	l.left -= keep
	l.cut = l.cut || keep < len(p)
	_, _ = l.Buffer.Write(p[:keep]) // never fails
	return len(p), nil
}

// end says how a tool ended, "" when well; status is one that is well too.
func (o output) end(status int) string {
	var exit *exec.ExitError
	switch {
	case o.late:
		return "its time was up"
	case o.cut:
		return fmt.Sprintf("it wrote more than %d MiB", maxToolOutput>>20)
	case o.err == nil, errors.As(o.err, &exit) && exit.ExitCode() == status:
		return ""
	}
	return o.err.Error()
}

// complaints are the first distinct lines that a tool wrote to its stderr.
func (o output) complaints(most int) []string {
	var lines []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(o.errors)) {
		line = clip(strings.TrimSpace(line), 200)
		if line == "" || seen[line] || len(lines) == most {
			continue
		}
		seen[line] = true
		lines = append(lines, line)
	}
	return lines
}
