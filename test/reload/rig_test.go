package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
)

// patience is for what should take a moment.
const patience = 60 * time.Second

// vigil is a running one, with a directory of its own.
type vigil struct {
	t    *testing.T
	dir  string
	path string // of the program
	cmd  *exec.Cmd
	out  safe
	over chan struct{}
	once sync.Once
	code int // that it shall end with
}

// safe is a buffer for the output of a process that still runs.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// service is TOML of a service that plays a role.
func service(t *testing.T, name, role, more string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[service.%s]\ncommand = [%q]\ndirectory = \"@dir@\"\nenvironment = { %s = %q }\n%s\n", name, exe, roleEnv, role, more)
}

const beats = "ready = { notify = true }\nheartbeat = { timeout = \"5s\" }\n"

// prepared is a vigil that has not been started.
func prepared(t *testing.T) *vigil {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-reload-")
	if err != nil {
		t.Fatal(err)
	}
	v := &vigil{t: t, dir: dir, path: filepath.Join(dir, "bin", "vigil"), over: make(chan struct{})}
	for _, d := range []string{"run", "state", "bin"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v.install("one")
	return v
}

// up starts `vigil up` of version one with a configuration.
func up(t *testing.T, configuration string) *vigil {
	t.Helper()
	v := prepared(t)
	v.configure(configuration)
	v.start("up", v.file("vigil.toml"))
	return v
}

func (v *vigil) start(args ...string) {
	v.t.Helper()
	v.cmd = exec.Command(v.path, append([]string{"--name", filepath.Base(v.dir)}, args...)...)
	v.cmd.Env = v.env()
	v.cmd.Dir = v.dir
	v.cmd.Stdout, v.cmd.Stderr = &v.out, &v.out
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	v.cmd.WaitDelay = time.Second
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	go func() { _ = v.cmd.Wait(); close(v.over) }()
	v.t.Cleanup(v.end)
}

func (v *vigil) env() []string {
	return append(os.Environ(), "VIGIL_RUNTIME_DIR="+v.file("run"), "VIGIL_STATE_DIR="+v.file("state"), "VIGIL_CAPTURE=")
}

func (v *vigil) file(parts ...string) string {
	return filepath.Join(append([]string{v.dir}, parts...)...)
}

func (v *vigil) configure(text string) {
	v.t.Helper()
	text = strings.ReplaceAll(text, "@dir@", v.dir)
	if err := os.WriteFile(v.file("vigil.toml"), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// install puts a version in place as package managers do: by rename.
func (v *vigil) install(version string) { v.replace(readBinary(v.t, version), 0o755) }

func (v *vigil) replace(program []byte, mode os.FileMode) {
	v.t.Helper()
	next := v.path + ".new"
	_ = os.Remove(next)
	if err := os.WriteFile(next, program, mode); err != nil {
		v.t.Fatal(err)
	}
	if err := os.Rename(next, v.path); err != nil {
		v.t.Fatal(err)
	}
}

func readBinary(t *testing.T, version string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(bin, version))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dialRaw(v *vigil) (net.Conn, error) { return net.Dial("unix", v.file("run", control.SocketName)) }

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// end asks vigil to end, and expects that it leaves nothing.
func (v *vigil) end() {
	v.once.Do(v.endOnce)
}

func (v *vigil) endOnce() {
	var pids []int
	if list, err := look(v, func(ctx context.Context, c *client.Client) ([]control.Service, error) { return c.Services(ctx, nil) }); err == nil {
		for _, s := range list {
			pids = append(pids, s.PID)
		}
	}
	_ = v.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-v.over:
	case <-time.After(patience):
		v.t.Error("vigil does not end")
		_ = v.cmd.Process.Kill()
		<-v.over
	}
	if code := v.cmd.ProcessState.ExitCode(); code != v.code {
		v.t.Errorf("vigil ended with %d, want %d", code, v.code)
	}
	for _, pid := range pids {
		if pid != 0 && unix.Kill(pid, 0) == nil {
			v.t.Errorf("pid %d of a service is left", pid)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	if v.t.Failed() {
		v.t.Logf("vigil said:\n%s", v.out.String())
	}
	os.RemoveAll(v.dir)
}

func look[T any](v *vigil, get func(context.Context, *client.Client) (T, error)) (got T, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := client.Dial(v.file("run", control.SocketName))
	if err != nil {
		return got, err
	}
	defer c.Close()
	return get(ctx, c)
}

// await repeats a look until it is satisfied.
func await[T any](v *vigil, what string, get func(context.Context, *client.Client) (T, error), ok func(T) bool) T {
	v.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		got, err := look(v, get)
		if err == nil && ok(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-v.over:
			v.t.Fatalf("vigil ended, while waiting for: %s", what)
		case <-limit:
			v.t.Fatalf("not seen: %s; last %+v, %v", what, got, err)
		}
	}
}

func (v *vigil) service(name, what string, ok func(control.Service) bool) control.Service {
	v.t.Helper()
	return await(v, name+" "+what, func(ctx context.Context, c *client.Client) (control.Service, error) {
		list, err := c.Services(ctx, []string{name})
		if err != nil || len(list) != 1 {
			return control.Service{}, fmt.Errorf("%d services: %w", len(list), err)
		}
		return list[0], nil
	}, ok)
}

// running waits until a service is up, with its first words said: by then it
// handles signals.
func (v *vigil) running(name string) control.Service {
	v.t.Helper()
	return v.service(name, "running", func(s control.Service) bool { return s.State == "running" && s.Ready && s.Output.Lines > 0 })
}

func (v *vigil) instance() control.Instance {
	v.t.Helper()
	return await(v, "a supervisor", func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) },
		func(control.Instance) bool { return true })
}

func (v *vigil) names() string {
	v.t.Helper()
	list := await(v, "services", func(ctx context.Context, c *client.Client) ([]control.Service, error) { return c.Services(ctx, nil) },
		func([]control.Service) bool { return true })
	var names []string
	for _, s := range list {
		names = append(names, s.Service)
	}
	return strings.Join(names, " ")
}

// reloads are what vigil says of its reloads, oldest first.
func (v *vigil) reloads(ok func([]string) bool) []string {
	v.t.Helper()
	return await(v, "a reload", func(ctx context.Context, c *client.Client) (said []string, err error) {
		err = c.Events(ctx, false, func(e control.Event) error {
			if e.Kind == "reload" {
				said = append(said, e.Text)
			}
			return nil
		})
		return said, err
	}, ok)
}

// hup reloads by HUP, and returns what came of it.
func (v *vigil) hup() string {
	v.t.Helper()
	before := len(v.reloads(func([]string) bool { return true }))
	if err := v.cmd.Process.Signal(unix.SIGHUP); err != nil {
		v.t.Fatal(err)
	}
	return v.reloads(func(said []string) bool { return len(said) > before })[before]
}

// done reloads and expects that it works.
func (v *vigil) done() {
	v.t.Helper()
	before := v.instance()
	if said := v.hup(); !strings.HasPrefix(said, "reload done") {
		v.t.Fatal(said)
	}
	if after := v.instance(); after.Epoch != before.Epoch+1 || after.Supervisor == before.Supervisor || after.KeeperPID != v.cmd.Process.Pid {
		v.t.Errorf("after %+v came %+v", before, after)
	}
}

// refused reloads and expects that it does not work, and that nothing changes.
func (v *vigil) refused(why string) {
	v.t.Helper()
	before := v.instance()
	if said := v.hup(); !strings.HasPrefix(said, "reload refused") || !strings.Contains(said, why) {
		v.t.Errorf("%s\nwant a refusal with %q", said, why)
	}
	if after := v.instance(); after.Epoch != before.Epoch || after.Supervisor != before.Supervisor || after.Version != before.Version {
		v.t.Errorf("after %+v came %+v", before, after)
	}
}

// crash is kill -9 of the supervisor; it returns when the next one answers.
func (v *vigil) crash() control.Instance {
	v.t.Helper()
	old := v.instance()
	if err := unix.Kill(old.Supervisor, unix.SIGKILL); err != nil {
		v.t.Fatal(err)
	}
	return await(v, "another supervisor", func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) },
		func(i control.Instance) bool { return i.Supervisor != old.Supervisor })
}

// cli runs a vigil command, and returns its exit code.
func (v *vigil) cli(args ...string) (out string, code int) {
	v.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "one"), append([]string{"--name", filepath.Base(v.dir)}, args...)...)
	cmd.Env = v.env()
	b, err := cmd.CombinedOutput()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		v.t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

func (v *vigil) must(args ...string) string {
	v.t.Helper()
	out, code := v.cli(args...)
	if code != 0 {
		v.t.Errorf("vigil %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

var numbered = regexp.MustCompile(`(?m)\b(line|last) (\d+)( \(|$)`)

// wholeLines: every line from the first to the last one, once and in order.
func (v *vigil) wholeLines(text string) {
	v.t.Helper()
	next, last := 1, 0
	for _, m := range numbered.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "last" {
			last = n
			continue
		}
		if n != next {
			v.t.Fatalf("line %d follows line %d", n, next-1)
		}
		next = n + 1
	}
	if last == 0 || next != last+1 {
		v.t.Errorf("the last line kept is %d, the last written %d", next-1, last)
	}
}

// wholeFile checks the output file of a service that has stopped.
func (v *vigil) wholeFile(s control.Service) {
	v.t.Helper()
	b, err := os.ReadFile(s.Output.File)
	if err != nil {
		v.t.Fatal(err)
	}
	v.wholeLines(string(b))
}

// services are the names of all services.
func services(ctx context.Context, c *client.Client) (string, error) {
	list, err := c.Services(ctx, nil)
	var names []string
	for _, s := range list {
		names = append(names, s.Service)
	}
	return strings.Join(names, " "), err
}

// done0 sends HUP and does not wait.
func (v *vigil) done0() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(unix.SIGHUP); err != nil {
		v.t.Fatal(err)
	}
}
