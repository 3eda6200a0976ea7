package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/procbelong"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// patience bounds a wait for something that happens at once when it works.
const patience = 30 * time.Second

// The test binary plays the bank.
func TestMain(m *testing.M) {
	if os.Getenv("WEDGE_RUN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

type process struct {
	url    string
	cmd    *exec.Cmd
	ended  chan error
	events chan watchdog.Event
	stderr bytes.Buffer // read only after the end
}

// start runs a bank that must beat every limit.
func start(t *testing.T, limit time.Duration) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{ended: make(chan error, 1), events: make(chan watchdog.Event, 1000)}
	socket, err := watchdog.Listen(filepath.Join(dir, "notify"))
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := watchdog.FromFile(socket, watchdog.Options{
		Belongs: procbelong.Tree(os.Getpid()).Belongs,
		Deliver: func(e watchdog.Event) { p.events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	addr := filepath.Join(dir, "addr")
	p.cmd = exec.Command("/proc/self/exe", "-addr-file", addr)
	p.cmd.Env = append(wire.Environ(socket.Name(), limit, -1), "WEDGE_RUN=1", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = receiver.Close()
		<-receiver.Done()
		_ = socket.Close()
	})
	// The beats may come before READY=1: both are sent as soon as they can.
	p.await(t, func(m wire.Message) bool { return m.Ready })
	b, err := os.ReadFile(addr)
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + strings.TrimSpace(string(b))
	return p
}

func (p *process) await(t *testing.T, want func(wire.Message) bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-p.events:
			if e.Refused != "" {
				t.Fatalf("refused: %s", e.Refused)
			}
			if want(e.Message) {
				return
			}
		case <-timeout:
			t.Fatal("the bank does not say what it should")
		}
	}
}

func (p *process) get(path string) (string, error) {
	c := http.Client{Timeout: patience}
	defer c.CloseIdleConnections()
	r, err := c.Get(p.url + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// end waits for the process and returns its exit status.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err // for the cleanup
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the bank does not end")
		return 0
	}
}

func beats(m wire.Message) bool { return m.Beat && strings.Contains(m.Status, "total 4000") }

func TestWorksBeatsAndStops(t *testing.T) {
	p := start(t, 20*time.Millisecond)
	for range 3 {
		p.await(t, beats)
		if got, err := p.get("/work"); err != nil || got != "total 4000\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := p.get("/leak?goroutines=50"); err != nil || !strings.Contains(got, "goroutines now") {
		t.Errorf("%q, %v", got, err)
	}
	if got, _ := p.get("/leak?goroutines=-1"); !strings.Contains(got, "must be") {
		t.Errorf("%q", got)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.await(t, func(m wire.Message) bool { return m.Stopping })
	if code := p.end(t); code != 0 {
		t.Errorf("exit status %d\n%s", code, p.stderr.String())
	}
}

func TestDeadlockStopsTheBeatsOnly(t *testing.T) {
	const limit = 20 * time.Millisecond
	p := start(t, limit)
	p.await(t, beats)
	if got, err := p.get("/deadlock"); err != nil || !strings.Contains(got, "wait for each other") {
		t.Fatalf("%q, %v", got, err)
	}
	// One round may have been done just before; after that, silence.
	quiet := 25 * limit
	silent := time.NewTimer(quiet)
	for heard := 0; ; {
		select {
		case <-p.events:
			if heard++; heard > 5 {
				t.Fatal("it beats on")
			}
			continue
		case <-silent.C:
		}
		break
	}
	if n := len(p.events); n > 0 {
		t.Errorf("%d events after %v", n, quiet)
	}
	if got, err := p.get("/health"); err != nil || got != "imok\n" {
		t.Errorf("health: %q, %v", got, err)
	}
	// It says that it stops, but it cannot.
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.await(t, func(m wire.Message) bool { return m.Stopping })
	select {
	case err := <-p.ended:
		p.ended <- err
		t.Errorf("a deadlocked bank ended: %v", err)
	case <-time.After(limit):
	}
}

func TestCrash(t *testing.T) {
	p := start(t, time.Second)
	if _, err := p.get("/crash"); err == nil {
		t.Error("an answer from a crashed bank")
	}
	if code := p.end(t); code != 2 {
		t.Errorf("exit status %d", code)
	}
	for _, want := range []string{"assignment to entry in nil map", "recordAudit"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("no %q in its last words", want)
		}
	}
}

func TestExit(t *testing.T) {
	p := start(t, time.Second)
	_, _ = p.get(fmt.Sprint("/exit?code=", 7))
	if code := p.end(t); code != 7 {
		t.Errorf("exit status %d", code)
	}
}
