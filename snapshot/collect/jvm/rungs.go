package jvm

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

	"golang.org/x/sys/unix"
)

// byAttach asks by the attach protocol.
func (c *collection) byAttach(ctx context.Context) ([]byte, error) {
	if err := c.target.open(ctx); err != nil {
		return nil, err
	}
	return c.target.command(ctx, "Thread.print -l")
}

// byJcmd asks by the command of a JDK.
func (c *collection) byJcmd(ctx context.Context) ([]byte, error) {
	return c.tool(ctx, "jcmd", strconv.Itoa(c.target.pid), "Thread.print", "-l")
}

// byJhsdb has a debugger of a JDK read the process, which it stops meanwhile.
func (c *collection) byJhsdb(ctx context.Context) ([]byte, error) {
	defer c.runOn(stoppedBefore(c.target.pid))
	return c.tool(ctx, "jhsdb", "jstack", "--locks", "--pid", strconv.Itoa(c.target.pid))
}

// tool runs a command of the JDK that the process runs on, else of PATH.
func (c *collection) tool(ctx context.Context, name string, args ...string) ([]byte, error) {
	path := ""
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.target.pid)); err == nil {
		if beside := filepath.Join(filepath.Dir(exe), name); unix.Access(beside, unix.X_OK) == nil {
			path = beside
		}
	}
	if path == "" {
		var err error
		if path, err = exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%s is not installed (it comes with a JDK)", name)
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	out, errs := &bounded{left: maxAnswer}, &bounded{left: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s was not done in time", name)
		}
		return nil, fmt.Errorf("%s: %w: %.200q", name, err, errs.Bytes())
	}
	return out.Bytes(), nil
}

// bounded keeps so many bytes, and swallows the rest.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	part := p[:min(len(p), b.left)]
	b.left -= len(part)
	b.Buffer.Write(part) // a buffer takes everything
	return len(p), nil
}

// stoppedBefore are the threads of a process that are stopped.
func stoppedBefore(pid int) map[string]bool {
	stopped := map[string]bool{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, f := range files {
		if text, err := readLimited(f, 4096); err == nil && strings.Contains(string(text), ") T ") {
			stopped[f] = true
		}
	}
	return stopped
}

// runOn continues what a debugger that was killed has left stopped: it attaches
// by a SIGSTOP, which stays when it dies in between.
func (c *collection) runOn(before map[string]bool) {
	if len(before) > 0 {
		return
	}
	if len(stoppedBefore(c.target.pid)) > 0 {
		_ = unix.Kill(c.target.pid, unix.SIGCONT) // it may have ended
	}
}

// bySignal has the JVM print its threads to its own output, and reads them there.
func (c *collection) bySignal(ctx context.Context) ([]byte, error) {
	var files []string
	for _, name := range append(c.opt.Output, fmt.Sprintf("/proc/%d/fd/1", c.target.pid)) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("its output is no file that could be read")
	}
	var tails []*tail
	for _, name := range files {
		t, err := openTail(name)
		if err == nil {
			defer t.file.Close()
			tails = append(tails, t)
		}
	}
	if err := unix.Kill(c.target.pid, unix.SIGQUIT); err != nil {
		return nil, fmt.Errorf("cannot send SIGQUIT: %w", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, t := range tails {
			if err := t.more(); err != nil {
				return nil, err
			}
			if whole(t.text) {
				return t.text, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, t := range tails {
				if bytes.Contains(t.text, []byte("Full thread dump ")) {
					return t.text, nil // cut short, which is better than nothing
				}
			}
			return nil, errors.New("SIGQUIT brought nothing into its output in time: no safepoint is reached, or the output goes elsewhere")
		}
	}
}

// whole: the last line of a dump has come.
func whole(text []byte) bool {
	i := bytes.Index(text, []byte("Full thread dump "))
	return i >= 0 && bytes.Contains(text[i:], []byte("JNI global ref"))
}

// tail is what is written to a file from now on.
type tail struct {
	file *os.File
	at   int64
	text []byte
}

func openTail(name string) (*tail, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	at, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &tail{file: f, at: at}, nil
}

func (t *tail) more() error {
	if info, err := t.file.Stat(); err == nil && info.Size() < t.at {
		t.at = 0 // truncated
	}
	buf := make([]byte, 256<<10)
	for len(t.text) < maxAnswer {
		n, err := t.file.ReadAt(buf, t.at)
		t.text = append(t.text, buf[:n]...)
		t.at += int64(n)
		if errors.Is(err, io.EOF) || n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
