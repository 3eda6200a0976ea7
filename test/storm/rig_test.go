package storm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

const (
	patience  = 30 * time.Second      // for what should take less than a second
	lookEvery = 20 * time.Millisecond // how often a wait looks
	stateSize = 16 << 20              // bytes of the file system of the state directory
	termLimit = 40 * time.Second      // from TERM to the end, whatever else happens
)

// vigil is one `vigil up`, with the directories around it.
type vigil struct {
	t      *testing.T
	binary string // for commands; and what is started, unless
	own    string // is a program of its own, which may be replaced
	name   string
	dir    string
	cmd    *exec.Cmd
	said   *os.File
	over   chan struct{} // closed when it has ended
}

// start makes the directories and starts vigil with a configuration.
func start(t *testing.T, binary string, c configuration, env ...string) *vigil {
	t.Helper()
	v := makePlace(t, binary, c)
	v.launch(env...)
	return v
}

// makePlace makes the directories. What is there at the end of the test is
// ended and removed.
func makePlace(t *testing.T, binary string, c configuration) *vigil {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-storm-")
	if err != nil {
		t.Fatal(err)
	}
	v := &vigil{t: t, binary: binary, name: fmt.Sprintf("s%d-%d", os.Getpid(), time.Now().UnixNano()), dir: dir, over: make(chan struct{})}
	t.Cleanup(v.cleanUp)
	for _, d := range []string{"run", "state", "log", "services"} {
		if err := os.Mkdir(v.path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("tmpfs", v.path("state"), "tmpfs", 0, fmt.Sprintf("size=%d", stateSize)); err != nil {
		t.Fatalf("cannot mount a small file system: %v", err)
	}
	v.configure(c)
	return v
}

func (v *vigil) launch(env ...string) {
	v.t.Helper()
	var err error
	if v.said, err = os.Create(v.path("said")); err != nil {
		v.t.Fatal(err)
	}
	v.cmd = exec.Command(cmp.Or(v.own, v.binary), v.args("up", v.path("vigil.toml"))...)
	v.cmd.Env = append(os.Environ(), env...)
	v.cmd.Stdout, v.cmd.Stderr = v.said, v.said
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	go func() { _ = v.cmd.Wait(); close(v.over) }()
}

func (v *vigil) path(parts ...string) string {
	return filepath.Join(append([]string{v.dir}, parts...)...)
}

func (v *vigil) pid() int { return v.cmd.Process.Pid }

func (v *vigil) args(command string, more ...string) []string {
	return append([]string{command, "--name", v.name, "--runtime-dir", v.path("run"), "--state-dir", v.path("state")}, more...)
}

func (v *vigil) running() bool {
	select {
	case <-v.over:
		return false
	default:
		return true
	}
}

// command runs a command of vigil and returns its exit code and its words.
func (v *vigil) command(command string, more ...string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, v.binary, v.args(command, more...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// configure replaces the configuration in one step.
func (v *vigil) configure(c configuration) { v.write(c.text(v)) }

func (v *vigil) write(text string) {
	v.t.Helper()
	temporary := v.path("vigil.toml.new")
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		v.t.Error(err)
	}
	if err := os.Rename(temporary, v.path("vigil.toml")); err != nil {
		v.t.Error(err)
	}
}

func (v *vigil) signal(s syscall.Signal) {
	v.t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		v.t.Errorf("cannot send %v: %v", s, err)
	}
}

// instance asks who is in charge.
func (v *vigil) instance() (i control.Instance, err error) {
	c, err := client.Dial(v.path("run", control.SocketName))
	if err != nil {
		return i, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Instance(ctx)
}

func (v *vigil) services() ([]control.Service, error) {
	c, err := client.Dial(v.path("run", control.SocketName))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Services(ctx, nil)
}

// eventually waits until ask has no complaint.
func (v *vigil) eventually(what string, ask func() error) {
	v.t.Helper()
	if err := v.within(patience, ask); err != nil {
		v.t.Fatalf("%s: %v\n%s", what, err, v.tail())
	}
}

func (v *vigil) within(limit time.Duration, ask func() error) error {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-v.over:
			return fmt.Errorf("vigil has ended (%v): %w", v.cmd.ProcessState, err)
		case <-end.C:
			return fmt.Errorf("not within %v: %w", limit, err)
		}
	}
}

// runs complains while c is not what runs, in the right instances, each once.
func (v *vigil) runs(c configuration) func() error {
	return func() error {
		list, err := v.services()
		if err != nil {
			return err
		}
		if len(list) != len(c) {
			return fmt.Errorf("%d services, want %d", len(list), len(c))
		}
		for _, s := range list {
			mark, ok := c[s.Service]
			pid, got := v.newest(s.Service)
			switch {
			case !ok:
				return fmt.Errorf("%s is there", s.Service)
			case s.State != "running" || s.PID != pid:
				return fmt.Errorf("%s is %s, pid %d, started last as pid %d", s.Service, s.State, s.PID, pid)
			case mark != got:
				return fmt.Errorf("%s runs with %q, want %q", s.Service, got, mark)
			}
		}
		return errors.Join(v.children(len(c)), v.sockets(c))
	}
}

// sockets complains about sockets of services that are not there any more.
func (v *vigil) sockets(c configuration) error {
	entries, err := os.ReadDir(v.path("run", "notify"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := c[strings.TrimSuffix(e.Name(), ".sock")]; !ok {
			return fmt.Errorf("%s is left in the directory of sockets", e.Name())
		}
	}
	return nil
}

// children complains unless the keeper has one supervisor and n services.
func (v *vigil) children(n int) error {
	supervisors, others := v.family()
	if len(supervisors) != 1 || len(others) != n {
		return fmt.Errorf("the keeper has supervisors %v and children %v, want 1 and %d", supervisors, others, n)
	}
	return nil
}

// family lists the living children of the keeper.
func (v *vigil) family() (supervisors, others []int) {
	all, err := proctree.Scan()
	if err != nil {
		v.t.Error(err)
		return nil, nil
	}
	for _, p := range all {
		if p.PPID != v.pid() || p.Zombie {
			continue
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if args := strings.Split(string(text), "\x00"); len(args) > 1 && args[1] == "supervisor" {
			supervisors = append(supervisors, p.PID)
		} else if len(text) > 0 {
			others = append(others, p.PID)
		}
	}
	return supervisors, others
}

// newest is the last start of a service: its pid and mark.
func (v *vigil) newest(service string) (pid int, mark string) {
	text, _ := os.ReadFile(v.path("services", service+startSuffix))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	word, mark, _ := strings.Cut(lines[len(lines)-1], " ")
	pid, _ = strconv.Atoi(word)
	return pid, mark
}

// starts is how often a service was started.
func (v *vigil) starts(service string) int {
	text, _ := os.ReadFile(v.path("services", service+startSuffix))
	return bytes.Count(text, []byte{'\n'})
}

// hit signals a process if its parent is the keeper: nobody else can have its
// pid before the keeper has reaped it, and the pidfd holds who had it.
func (v *vigil) hit(pid int, s syscall.Signal) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	p, err := proctree.Read(pid)
	return err == nil && p.PPID == v.pid() && unix.PidfdSendSignal(fd, s, nil, 0) == nil
}

// end sends TERM, once, and expects the end with status 0.
func (v *vigil) end() {
	v.t.Helper()
	v.signal(syscall.SIGTERM)
	v.ends()
}

func (v *vigil) ends() {
	v.t.Helper()
	begin := time.Now()
	select {
	case <-v.over:
	case <-time.After(termLimit):
		v.t.Fatalf("vigil does not end within %v of TERM\n%s", termLimit, v.tail())
	}
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		v.t.Errorf("vigil ended with %v after %v\n%s", v.cmd.ProcessState, time.Since(begin), v.tail())
	}
	v.leftNothing()
}

// leftNothing looks for what a vigil that has ended must not leave.
func (v *vigil) leftNothing() {
	v.t.Helper()
	for _, pid := range v.marked() {
		v.t.Errorf("pid %d is left", pid)
	}
	for _, dir := range v.groups() {
		v.t.Errorf("cgroup %s is left", dir)
	}
	for _, dir := range []string{"run", "state"} {
		entries, err := os.ReadDir(v.path(dir))
		if err != nil {
			v.t.Error(err)
		}
		for _, e := range entries {
			if !expected(e.Name()) {
				v.t.Errorf("%s is left in %s", e.Name(), dir)
			}
		}
	}
}

// expected reports whether a file may stay when vigil has ended.
func expected(name string) bool {
	switch name {
	case "keeper.lock", "incidents", "log", protocol.HangDir, "vigil.log", "vigil.log.1", "signals.jsonl", "signals.jsonl.1":
		return true
	}
	return false
}

// marked lists processes of this vigil: with the mark of its services, or with
// its directory among their arguments. Dead ones apart.
func (v *vigil) marked() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, _ := os.ReadFile(filepath.Join(d, "environ"))
		args, _ := os.ReadFile(filepath.Join(d, "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(d))
		if pid != os.Getpid() && (bytes.Contains(env, []byte("VIGIL_INSTANCE="+v.name+"/")) || bytes.Contains(args, []byte(v.path("run")+"\x00"))) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (v *vigil) groups() []string {
	base, err := cgroup.Find()
	if err != nil {
		return nil
	}
	dirs, _ := filepath.Glob(filepath.Join(base.Path(), "vigil-"+v.name+".*"))
	return dirs
}

// cleanUp ends by force what is there, and removes it.
func (v *vigil) cleanUp() {
	if v.cmd != nil && v.running() {
		v.cmd.Process.Kill()
		<-v.over
	}
	for _, pid := range v.marked() {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			unix.Close(fd)
		}
	}
	for _, dir := range v.groups() {
		if g, err := cgroup.Open(dir); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			_ = g.Kill()
			_ = g.WaitEmpty(ctx)
			cancel()
			_ = g.Remove()
		}
	}
	if v.said != nil {
		v.said.Close()
	}
	if err := unix.Unmount(v.path("state"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		v.t.Errorf("cannot unmount the state directory: %v", err)
	}
	if v.t.Failed() && os.Getenv("VIGIL_STORM_KEEP") != "" {
		v.t.Logf("kept: %s", v.dir)
		return
	}
	if err := os.RemoveAll(v.dir); err != nil {
		v.t.Error(err)
	}
}

// tail is the end of what vigil said and logged.
func (v *vigil) tail() string {
	return v.tailOf("said", 4000) + "\n--- vigil.log:\n" + v.tailOf("state/vigil.log", 6000)
}

func (v *vigil) tailOf(name string, most int) string {
	text, err := os.ReadFile(v.path(name))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
