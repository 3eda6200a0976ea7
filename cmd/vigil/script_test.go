package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience bounds waits for what should happen soon, on a machine that may be
// slow.
const patience = 90 * time.Second

// mark is in the environment of every process of a script: its directory.
const mark = "VIGIL_SCRIPT"

// TestScript runs the scripts that need no vigil that runs.
func TestScript(t *testing.T) {
	runScripts(t, "testdata/script/[^l]*.txtar")
}

// TestLive runs the scripts in which a real vigil keeps real processes.
func TestLive(t *testing.T) {
	runScripts(t, "testdata/script/live_*.txtar")
}

func runScripts(t *testing.T, patterns ...string) {
	t.Helper()
	var files []string
	for _, p := range patterns {
		some, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, some...)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("VIGIL_RUNTIME_DIR", e.WorkDir+"/run")
			e.Setenv("VIGIL_STATE_DIR", e.WorkDir+"/state")
			e.Setenv(mark, e.WorkDir)
			// Under -race every exit sleeps for a second otherwise, services too.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Values[runningKey{}] = make(map[string]*spawned)
			e.Defer(func() { sweep(e.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"await":  await,
			"spawn":  spawn,
			"ended":  ended,
			"signal": sendSignal,
			"gone":   gone,
		},
	})
}

// exits CODE CMD ARG...: runs a command that must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD ARG...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("cannot run %s: %v", args[1], err)
		}
		code = e.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with %d, not %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// await PATTERN CMD ARG...: runs a command again and again until its output
// matches, whatever its exit code.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await PATTERN CMD ARG...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		cmd := command(ts, args[1], args[2:])
		output, _ := cmd.CombinedOutput() // an exit code is not what is awaited
		if pattern.Match(output) {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			ts.Fatalf("no %q within %v; at last:\n%s", args[0], patience, output)
		}
	}
}

// command makes a command with the environment of the script.
func command(ts *testscript.TestScript, name string, args []string) *exec.Cmd {
	path := name
	if !strings.Contains(name, "/") {
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if unix.Access(filepath.Join(dir, name), unix.X_OK) == nil {
				path = filepath.Join(dir, name)
				break
			}
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, v := range []string{"PATH", "HOME", "TMPDIR", "WORK", mark, "VIGIL_RUNTIME_DIR", "VIGIL_STATE_DIR"} {
		cmd.Env = append(cmd.Env, v+"="+ts.Getenv(v))
	}
	return cmd
}

// spawned is what spawn leaves for ended.
type spawned struct {
	cmd  *exec.Cmd
	done chan error
}

// runningKey is the key of what a script has spawned and not seen the end of.
type runningKey struct{}

// spawn NAME CMD ARG...: starts a command; NAME.pid, NAME.out and NAME.err are
// what their names say.
func spawn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: spawn NAME CMD ARG...")
	}
	cmd := command(ts, args[1], args[2:])
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	errOut, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer errOut.Close()
	cmd.Stdout, cmd.Stderr = out, errOut
	ts.Check(cmd.Start())
	s := &spawned{cmd, make(chan error, 1)}
	go func() { s.done <- cmd.Wait() }()
	all := ts.Value(runningKey{}).(map[string]*spawned)
	all[args[0]] = s
	ts.Defer(func() {
		if all[args[0]] == s {
			_ = cmd.Process.Signal(unix.SIGTERM)
			select {
			case <-s.done:
			case <-time.After(patience):
				_ = cmd.Process.Kill()
				<-s.done
			}
			ts.Logf("%s: %s", args[0], ts.ReadFile(args[0]+".err"))
		}
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pid"), fmt.Append(nil, cmd.Process.Pid), 0o600))
}

// ended NAME CODE: waits until a spawned command has ended with that code.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME CODE")
	}
	all := ts.Value(runningKey{}).(map[string]*spawned)
	s := all[args[0]]
	if s == nil {
		ts.Fatalf("nothing was spawned as %s", args[0])
	}
	select {
	case <-s.done:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended within %v", args[0], patience)
	}
	delete(all, args[0])
	if code := s.cmd.ProcessState.ExitCode(); strconv.Itoa(code) != args[1] {
		ts.Fatalf("%s ended with %d, not %s:\n%s", args[0], code, args[1], ts.ReadFile(args[0]+".err"))
	}
}

// pidOf reads a pid from a file, which may not be there yet, and opens it.
func pidOf(ts *testscript.TestScript, file string) (pidfd int, ok bool) {
	deadline := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		data, err := os.ReadFile(ts.MkAbs(file))
		if err == nil {
			pid, err := strconv.Atoi(string(bytes.TrimSpace(data)))
			ts.Check(err)
			fd, err := unix.PidfdOpen(pid, 0)
			if errors.Is(err, unix.ESRCH) {
				return -1, false
			}
			ts.Check(err)
			return fd, true
		}
		select {
		case <-again.C:
		case <-deadline:
			ts.Fatalf("no file %s within %v", file, patience)
		}
	}
}

// signal NAME PIDFILE: sends a signal.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal NAME PIDFILE")
	}
	fd, ok := pidOf(ts, args[1])
	if !ok {
		ts.Fatalf("the process of %s is gone", args[1])
	}
	defer unix.Close(fd)
	ts.Check(unix.PidfdSendSignal(fd, unix.SignalNum("SIG"+args[0]), nil, 0))
}

// gone PIDFILE: the process must be gone; ! gone: it must be alive.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] gone PIDFILE")
	}
	fd, ok := pidOf(ts, args[0])
	dead := !ok
	if ok {
		defer unix.Close(fd)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		ts.Check(err)
		dead = n > 0
	}
	if dead == neg {
		ts.Fatalf("gone is %v for the process of %s", dead, args[0])
	}
}

// sweep kills what a script left: every process that carries its mark.
func sweep(dir string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	want := []byte(mark + "=" + dir + "\x00")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// Read after the pidfd is open: then it is of the same process.
		environ, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && bytes.Contains(append(environ, 0), want) {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		_ = unix.Close(fd)
	}
}
