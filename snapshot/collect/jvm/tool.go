package jvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// byJcmd asks by the command of a JDK.
func (c *collection) byJcmd(ctx context.Context) ([]byte, error) {
	if c.unanswered {
		return nil, errors.New("not tried: it asks by the attach protocol too, which had no answer")
	}
	if c.target.stopped {
		return nil, c.target.answers()
	}
	if err := c.target.takesQuit(); err != nil && !c.target.listens() {
		return nil, err
	}
	args := []string{strconv.Itoa(c.target.pid), "Thread.print"}
	if heap := c.heapAtMost(); c.opt.Lethal || heap > 0 && heap <= maxWalk {
		args = append(args, "-l")
	}
	return c.tool(ctx, "jcmd", args...)
}

// byJhsdb has a debugger of a JDK read the process, which it stops meanwhile. It
// has --locks for the owners of java.util.concurrent locks; that walks the heap
// from outside, and was not done with 1 GiB after a minute.
func (c *collection) byJhsdb(ctx context.Context) ([]byte, error) {
	if c.target.tracer != 0 {
		return nil, fmt.Errorf("process %d traces it already", c.target.tracer)
	}
	text, err := c.tool(ctx, "jhsdb", "jstack", "--pid", strconv.Itoa(c.target.pid))
	if err == nil {
		return text, nil
	}
	c.release()
	if _, found := parseJhsdb(text); found {
		c.notes = append(c.notes, "not all threads: "+err.Error())
		return text, nil
	}
	return nil, err
}

// release continues what a debugger that was ended has left stopped: it attaches
// by a SIGSTOP, which can still be pending. SIGCONT takes it back, signal(7), and
// changes nothing of a process that runs.
func (c *collection) release() {
	if !c.target.stopped {
		_ = c.target.fd.Signal(unix.SIGCONT) // it may have ended
	}
}

// tool runs a command of the JDK that the process runs on, else of PATH. What it
// printed until it was ended is returned with the error.
func (c *collection) tool(ctx context.Context, name string, args ...string) ([]byte, error) {
	path := c.find(name)
	if path == "" {
		return nil, fmt.Errorf("%s is not installed (it comes with a JDK)", name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	out, errs := &bounded{left: maxAnswer}, &bounded{left: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	// Nothing of our own environment is meant for it. It lives for a second: what
	// costs time at its start is left out.
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/", "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// jcmd of JDK 8 must be of the JVM's user. And a JDK that others can write is
	// not run with our rights: it could be anything.
	if os.Geteuid() == 0 && c.target.uid != 0 && (name == "jcmd" || !trusted(path)) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.target.uid), Gid: uint32(c.target.gid)}
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return out.buf.Bytes(), fmt.Errorf("%s was not done in time", name)
		}
		return out.buf.Bytes(), fmt.Errorf("%s: %w: %.200q", name, err, bytes.TrimSpace(append(errs.buf.Bytes(), out.buf.Bytes()...)))
	}
	return out.buf.Bytes(), nil
}

// find looks beside the program of the target, for a tool must be of the version
// of its JVM; one in a container has other files at these names. "": there is
// none that could be run.
func (c *collection) find(name string) string {
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.target.pid)); err == nil && c.target.sharesRoot() {
		if beside := filepath.Join(filepath.Dir(exe), name); unix.Access(beside, unix.X_OK) == nil && (c.target.uid != 0 || trusted(beside)) {
			return beside
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// sharesRoot: the target sees the same files as we do.
func (t *target) sharesRoot() bool {
	var its, ours syscall.Stat_t
	return t.root >= 0 && syscall.Fstat(t.root, &its) == nil && syscall.Stat("/", &ours) == nil && its.Dev == ours.Dev && its.Ino == ours.Ino
}

// trusted reports whether only root and we can change a file, or what is at its
// name.
func trusted(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for {
		var st syscall.Stat_t
		if syscall.Lstat(path, &st) != nil || st.Uid != 0 && int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
			return false
		}
		if path == "/" {
			return true
		}
		path = filepath.Dir(path)
	}
}

// bounded keeps so many bytes, and swallows the rest.
type bounded struct {
	buf  bytes.Buffer // not embedded: its ReadFrom would know no bound
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	part := p[:min(len(p), b.left)]
	b.left -= len(part)
	b.buf.Write(part) // a buffer takes everything
	return len(p), nil
}
