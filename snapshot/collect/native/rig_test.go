package native

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds every wait of these tests.
const limit = 20 * time.Second

func need(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			t.Skipf("%s is not installed (scripts/install-test-deps.sh)", c)
		}
	}
}

// compile builds a file of testdata.
func compile(t *testing.T, compiler, source string, flags ...string) string {
	t.Helper()
	need(t, compiler)
	exe := filepath.Join(t.TempDir(), strings.TrimSuffix(source, filepath.Ext(source)))
	args := append([]string{"-pthread", "-o", exe, filepath.Join("testdata", source)}, flags...)
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", source, err, out)
	}
	return exe
}

// start runs a program until it says that it is ready, and ends it with the test.
func start(t *testing.T, exe string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(exe, args...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = in.Close()
		_ = cmd.Wait()
	})
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- line
	}()
	select {
	case line := <-ready:
		if line != "ready\n" {
			t.Fatalf("%s said %q", exe, line)
		}
	case <-time.After(limit):
		t.Fatalf("%s was not ready", exe)
	}
	return cmd
}

// settle waits until as many threads wait in futex(2) as must.
func settle(t *testing.T, pid, futexes int) {
	t.Helper()
	fd, err := pidfd.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	within(t, "threads that wait", func() bool {
		at, err := look(pid, fd)
		if err != nil {
			return false
		}
		n := 0
		for _, k := range at.tasks {
			if k.futex != 0 {
				n++
			}
			if k.state == 'R' {
				return false
			}
		}
		return n >= futexes
	})
}

// within asks until something is so.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func collect(t *testing.T, pid int) *snapshot.Stacks {
	t.Helper()
	res, err := Collect(t.Context(), Options{PID: pid, Budget: limit})
	if err != nil || res.Stacks == nil {
		t.Fatalf("%v, %+v", err, res)
	}
	free(t, pid)
	return res.Stacks
}

// free checks that nothing holds a process.
func free(t *testing.T, pid int) {
	t.Helper()
	if stopped, pending, traced := (&target{pid: pid}).stops(); stopped || pending || traced {
		t.Errorf("stopped %t, pending %t, traced %t", stopped, pending, traced)
	}
}

// group finds the group of a stack that goes through a function.
func group(t *testing.T, s *snapshot.Stacks, function string) snapshot.Group {
	t.Helper()
	for _, g := range s.Groups {
		if slices.ContainsFunc(g.Frames, func(f snapshot.Frame) bool { return strings.HasPrefix(f.Function, function) }) {
			return g
		}
	}
	t.Fatalf("no stack with %s:\n%s", function, show(s))
	return snapshot.Group{}
}

func show(s *snapshot.Stacks) string {
	var b strings.Builder
	for _, g := range s.Groups {
		b.WriteString(g.Status + " " + g.WaitReason + " " + g.Idle + "\n")
		for _, f := range g.Frames {
			b.WriteString("  " + f.Function + " " + f.File + "\n")
		}
	}
	return b.String() + strings.Join(s.Notes, "\n")
}

// toolFirst puts a script of that name first in PATH.
func toolFirst(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}
