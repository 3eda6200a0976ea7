package gimli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/vigil-supervisor/vigil/snapshot"
)

// patience is for what should take a moment.
const patience = 60 * time.Second

// vigil is a running one with one service, "s", and a directory of its own.
type vigil struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	out  safe
	over chan struct{}
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

// app is the command of the C program.
func app(mode string) []string { return []string{filepath.Join(bin, "app"), mode} }

// up starts a service that is watched by libgimli's protocol; more is TOML of it.
func up(t *testing.T, command []string, more string) *vigil {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-gimli-")
	if err != nil {
		t.Fatal(err)
	}
	v := &vigil{t: t, dir: dir}
	for _, d := range []string{"run", "state", "work"} {
		if err := os.Mkdir(v.file(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var words []string
	for _, w := range command {
		words = append(words, fmt.Sprintf("%q", w))
	}
	text := fmt.Sprintf("[service.s]\ncommand = [%s]\ndirectory = %q\nheartbeat.gimli = true\n%s\n", strings.Join(words, ", "), v.file("work"), more)
	if err := os.WriteFile(v.file("vigil.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v.launch()
	t.Cleanup(v.end)
	return v
}

// launch starts vigil, perhaps once more.
func (v *vigil) launch() {
	v.t.Helper()
	v.over = make(chan struct{})
	v.cmd = exec.Command(filepath.Join(bin, "vigil"), "--name", filepath.Base(v.dir), "up", v.file("vigil.toml"))
	v.cmd.Env = append(os.Environ(), "VIGIL_RUNTIME_DIR="+v.file("run"), "VIGIL_STATE_DIR="+v.file("state"),
		"VIGIL_CAPTURE="+filepath.Join(bin, "vigil-capture"), "GIMLI_HB_FD=77", "GIMLI_MONITOR_PID=1") // of another monitor: not for the service
	v.cmd.Stdout, v.cmd.Stderr = &v.out, &v.out
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	v.cmd.WaitDelay = time.Second
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, over chan struct{}) { _ = cmd.Wait(); close(over) }(v.cmd, v.over)
}

func (v *vigil) file(parts ...string) string {
	return filepath.Join(append([]string{v.dir}, parts...)...)
}

// touch tells the program what to do.
func (v *vigil) touch(name string) {
	v.t.Helper()
	if err := os.WriteFile(v.file("work", name), nil, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// end asks vigil to end, and expects that it leaves nothing.
func (v *vigil) end() {
	var last control.Service
	if s, err := look(v, getService); err == nil {
		last = s
	}
	_ = v.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-v.over:
	case <-time.After(patience):
		v.t.Error("vigil does not end")
		_ = v.cmd.Process.Kill()
		<-v.over
	}
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		v.t.Errorf("vigil ended with %d", code)
	}
	if last.PID != 0 && unix.Kill(last.PID, 0) == nil {
		v.t.Errorf("pid %d of the service is left", last.PID)
		_ = unix.Kill(last.PID, unix.SIGKILL)
	}
	if v.t.Failed() {
		v.t.Logf("vigil said:\n%s", v.out.String())
	}
	os.RemoveAll(v.dir)
}

func getService(ctx context.Context, c *client.Client) (control.Service, error) {
	list, err := c.Services(ctx, []string{"s"})
	if err != nil || len(list) != 1 {
		return control.Service{}, fmt.Errorf("%d services: %w", len(list), err)
	}
	return list[0], nil
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

// await repeats a look until it is satisfied. A supervisor that is being
// replaced does not answer for a moment.
func await[T any](v *vigil, what string, get func(context.Context, *client.Client) (T, error), ok func(T) bool) T {
	v.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
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

func (v *vigil) service(what string, ok func(control.Service) bool) control.Service {
	v.t.Helper()
	return await(v, what, getService, ok)
}

// standing is the one sign of libgimli.
func standing(s control.Service) (text string, ok bool) {
	for _, one := range s.Signs {
		if one.Kind == "gimli" {
			return one.Text, true
		}
	}
	return "", false
}

// running waits for an instance that beats.
func (v *vigil) running(instance uint64) control.Service {
	v.t.Helper()
	return v.service(fmt.Sprintf("instance %d, watched", instance), func(s control.Service) bool {
		text, ok := standing(s)
		return s.Instance == instance && s.State == "running" && ok && text == "running"
	})
}

// event waits for one of a kind whose text matches.
func (v *vigil) event(kind, pattern string) string {
	v.t.Helper()
	re := regexp.MustCompile(pattern)
	match := func(list []control.Event) (text string, ok bool) {
		for _, e := range list {
			if e.Kind == kind && e.Service == "s" && re.MatchString(e.Text) {
				return e.Text, true
			}
		}
		return "", false
	}
	list := await(v, kind+": "+pattern, v.getEvents, func(list []control.Event) bool { _, ok := match(list); return ok })
	text, _ := match(list)
	return text
}

func (v *vigil) getEvents(ctx context.Context, c *client.Client) ([]control.Event, error) {
	var list []control.Event
	err := c.Events(ctx, false, func(e control.Event) error { list = append(list, e); return nil })
	return list, err
}

// said waits for a line of the service's output.
func (v *vigil) said(pattern string) {
	v.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	await(v, "the service says "+pattern, func(context.Context, *client.Client) (string, error) {
		b, err := os.ReadFile(v.file("state", "log", "s.log"))
		return string(b), err
	}, re.MatchString)
}

// incident waits for a complete one of a cause, of an instance.
func (v *vigil) incident(instance uint64, cause snapshot.Cause) (snapshot.Incident, snapshot.Process) {
	v.t.Helper()
	var dir string
	got := await(v, fmt.Sprintf("an incident of instance %d: %s", instance, cause), func(context.Context, *client.Client) (snapshot.Incident, error) {
		found, _ := filepath.Glob(v.file("state", "incidents", "*", "incident.json"))
		for _, path := range found {
			var i snapshot.Incident
			if b, err := os.ReadFile(path); err != nil || json.Unmarshal(b, &i) != nil || i.Instance != instance || i.Cause != cause {
				continue
			}
			dir = filepath.Dir(path)
			return i, nil
		}
		return snapshot.Incident{}, os.ErrNotExist
	}, func(snapshot.Incident) bool { return true })
	var p snapshot.Process
	if b, err := os.ReadFile(filepath.Join(dir, snapshot.FileProcess)); err != nil || json.Unmarshal(b, &p) != nil {
		v.t.Errorf("the incident %s has no process: %v", got.ID, err)
	}
	return got, p
}

// kill is kill -9 of the supervisor; it returns when the next one answers.
func (v *vigil) replace() {
	v.t.Helper()
	get := func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) }
	old := await(v, "a supervisor", get, func(control.Instance) bool { return true })
	if err := unix.Kill(old.Supervisor, unix.SIGKILL); err != nil {
		v.t.Fatal(err)
	}
	await(v, "another supervisor", get, func(i control.Instance) bool { return i.Supervisor != old.Supervisor })
}

// count is how many events of a kind match.
func (v *vigil) count(kind, pattern string) int {
	v.t.Helper()
	re, n := regexp.MustCompile(pattern), 0
	list, err := look(v, v.getEvents)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, e := range list {
		if e.Kind == kind && re.MatchString(e.Text) {
			n++
		}
	}
	return n
}

func (v *vigil) ask(verb control.Verb) {
	v.t.Helper()
	_, err := look(v, func(ctx context.Context, c *client.Client) ([]control.Result, error) {
		return c.Ask(ctx, control.Ask{Verb: verb, Services: []string{"s"}})
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

func number(n int) string { return strconv.Itoa(n) }

// killAll is kill -9 of keeper and supervisor.
func (v *vigil) killAll() {
	v.t.Helper()
	i := await(v, "a supervisor", func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) },
		func(control.Instance) bool { return true })
	if err := v.cmd.Process.Kill(); err != nil {
		v.t.Fatal(err)
	}
	_ = unix.Kill(i.Supervisor, unix.SIGKILL) // or it has ended already
	<-v.over
}
