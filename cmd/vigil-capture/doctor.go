package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/capture"
	"github.com/vigil-supervisor/vigil/snapshot/collect/golang"
	"github.com/vigil-supervisor/vigil/snapshot/collect/process"
)

// patientGoroutines is how many goroutines the child of the doctor has.
const patientGoroutines = 1000

// trialTime bounds each try.
const trialTime = 20 * time.Second

// doctor tries each rung on a child of its own, and prints a line of JSON for
// each try and each fact.
func doctor(args []string) error {
	set := flag.NewFlagSet("doctor", flag.ContinueOnError)
	child := set.Bool("child", false, "be the child that is captured")
	if err := parse(set, args); err != nil {
		return err
	}
	if *child {
		return bePatient()
	}
	out := json.NewEncoder(os.Stdout)
	for _, c := range append(trials(), facts()...) {
		if err := out.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// bePatient waits with many goroutines until stdin ends.
func bePatient() error {
	wait := make(chan struct{})
	for range patientGoroutines {
		go func() { <-wait }()
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// patient is a running child.
type patient struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	pipe io.Reader
}

func newPatient() (*patient, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &patient{cmd: exec.Command(self, "doctor", "--child")}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// SIGQUIT makes it print what it does, to the same pipe.
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a child: %w", err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		p.end()
		return nil, fmt.Errorf("the child did not begin: %q, %v", line, err)
	}
	p.pipe = r
	return p, nil
}

func (p *patient) end() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed
}

// trial is one rung that is tried.
type trial struct {
	rung string
	try  func(context.Context, *patient, string) (text string, pause snapshot.Seconds, err error)
}

func trials() []snapshot.Checkup {
	// A twin of the child is a child of ours that we did not start.
	signal.Ignore(syscall.SIGPIPE)
	var list []snapshot.Checkup
	for _, t := range []trial{
		{snapshot.RungTwin, byMemory(false)},
		{snapshot.RungCopy, byMemory(true)},
		{"trace", byTracer},
		{snapshot.RungRuntime, byRuntime},
		{snapshot.RungProc, byProc},
	} {
		list = append(list, t.run())
	}
	return list
}

// run tries one rung on a fresh child.
func (t trial) run() snapshot.Checkup {
	c := snapshot.Checkup{Name: t.rung}
	dir, err := os.MkdirTemp("", "vigil-doctor-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		var p *patient
		if p, err = newPatient(); err == nil {
			defer p.end()
			ctx, cancel := context.WithTimeout(context.Background(), trialTime)
			defer cancel()
			c.Text, c.Pause, err = t.try(ctx, p, dir)
		}
	}
	c.OK = err == nil
	if err != nil {
		c.Text = err.Error()
	}
	return c
}

// byMemory takes the memory, and reads the goroutines from it.
func byMemory(noTwin bool) func(context.Context, *patient, string) (string, snapshot.Seconds, error) {
	return func(ctx context.Context, p *patient, dir string) (string, snapshot.Seconds, error) {
		core := filepath.Join(dir, snapshot.FileCore)
		res, err := capture.Take(ctx, capture.Target{PID: p.cmd.Process.Pid}, capture.Options{Core: core, NoTwin: noTwin})
		if err != nil {
			return "", 0, err
		}
		if !noTwin && res.Freeze.Method != snapshot.RungTwin {
			why := "it was refused"
			for _, r := range res.Freeze.Refused {
				why = r.Reason
			}
			return "", 0, errors.New(why)
		}
		text, err := readBack(ctx, core)
		return text, res.Freeze.Pause, err
	}
}

func readBack(ctx context.Context, core string) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	stacks, missing, err := golang.Collect(ctx, golang.Options{Core: core, Exe: exe, NoVariables: true})
	if err != nil {
		return "", err
	}
	if stacks.Unwound < patientGoroutines {
		return "", fmt.Errorf("%d of %d goroutines were read: %s", stacks.Unwound, patientGoroutines, strings.Join(missing, "; "))
	}
	return fmt.Sprintf("%d goroutines were read", stacks.Unwound), nil
}

// byTracer is capture.trace_exit: a tracer that sees the end.
func byTracer(_ context.Context, p *patient, dir string) (string, snapshot.Seconds, error) {
	pid := p.cmd.Process.Pid
	res, err := capture.Trace(capture.Target{PID: pid}, capture.TraceOptions{
		Core: filepath.Join(dir, snapshot.FileCore), Budget: trialTime,
		Attached: func() { _ = unix.Kill(pid, unix.SIGKILL) },
	})
	if err != nil {
		return "", 0, err
	}
	if !res.Captured || !res.Core {
		return "", 0, fmt.Errorf("the end was not seen: %s", strings.Join(res.Missing, "; "))
	}
	return "an end by SIGKILL was seen, with " + fmt.Sprint(res.Freeze.Threads) + " threads (capture.trace_exit)", res.Freeze.Pause, nil
}

// byRuntime has Go print its goroutines, which ends the program.
func byRuntime(_ context.Context, p *patient, _ string) (string, snapshot.Seconds, error) {
	if err := p.cmd.Process.Signal(unix.SIGQUIT); err != nil {
		return "", 0, err
	}
	text, err := io.ReadAll(io.LimitReader(p.pipe, 16<<20))
	if err != nil {
		return "", 0, err
	}
	n := strings.Count(string(text), "\ngoroutine ")
	if n < patientGoroutines {
		return "", 0, fmt.Errorf("%d of %d goroutines were printed", n, patientGoroutines)
	}
	return fmt.Sprintf("%d goroutines were printed at SIGQUIT, which ends the program", n), 0, nil
}

func byProc(ctx context.Context, p *patient, _ string) (string, snapshot.Seconds, error) {
	seen, err := process.Collect(ctx, p.cmd.Process.Pid)
	if err != nil {
		return "", 0, err
	}
	text := fmt.Sprintf("%d threads and %d descriptors were seen", seen.ThreadCount, seen.FDCount)
	if len(seen.Denied) > 0 {
		text += "; not " + strings.Join(seen.Denied, "; not ")
	}
	return text, 0, nil
}

// facts are how this machine is set, as far as captures depend on it.
func facts() []snapshot.Checkup {
	fact := func(name string, ok bool, text string) snapshot.Checkup {
		return snapshot.Checkup{Name: name, OK: ok, Text: text, Fact: true}
	}
	var list []snapshot.Checkup
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		list = append(list, fact("kernel", true, unix.ByteSliceToString(uts.Release[:])+" "+unix.ByteSliceToString(uts.Machine[:])))
	}
	list = append(list, fact("user", true, fmt.Sprintf("uid %d", os.Geteuid())))
	status := ownStatus()
	list = append(list, fact("capabilities", true, "CapEff "+status["CapEff"]), fact("seccomp", status["Seccomp"] == "0" || status["Seccomp"] == "",
		map[bool]string{true: "no filter", false: "a filter is in force (mode " + status["Seccomp"] + "): it can refuse ptrace and clone"}[status["Seccomp"] == "0" || status["Seccomp"] == ""]))
	scope := setting("/proc/sys/kernel/yama/ptrace_scope")
	switch scope {
	case "", "0":
		list = append(list, fact("kernel.yama.ptrace_scope", true, "not restricted"))
	default:
		list = append(list, fact("kernel.yama.ptrace_scope", false, scope+": only a parent or CAP_SYS_PTRACE may trace"))
	}
	pattern := setting("/proc/sys/kernel/core_pattern")
	list = append(list, fact("kernel.core_pattern", !strings.HasPrefix(pattern, "|"), fmt.Sprintf("%q", pattern)))
	for _, tool := range []struct{ name, what string }{
		{"eu-stack", "stacks of C, C++ and Rust (Debian package elfutils)"}, {"gdb", "stacks of C, C++ and Rust (Debian package gdb)"},
		{"jcmd", "threads of a JVM that does not answer us (a JDK)"}, {"jhsdb", "threads of a JVM that answers nothing (a JDK)"},
	} {
		path, err := exec.LookPath(tool.name)
		if err != nil {
			list = append(list, fact(tool.name, false, "not installed: "+tool.what))
			continue
		}
		list = append(list, fact(tool.name, true, path+": "+tool.what))
	}
	return list
}

func setting(path string) string {
	text, err := limited.ReadFile(path, 4096)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func ownStatus() map[string]string {
	fields := map[string]string{}
	text, _ := limited.ReadFile("/proc/self/status", 64<<10)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}
