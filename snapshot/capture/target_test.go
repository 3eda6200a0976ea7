package capture

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// roleEnv makes the test binary play a part instead of running tests.
const roleEnv = "CAPTURE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "capture":
		playCapture()
	case "tracer":
		playTracer()
	case "trace":
		playTrace()
	default:
		code := m.Run()
		if fixtureDir != "" {
			_ = os.RemoveAll(fixtureDir)
		}
		os.Exit(code)
	}
}

// playCapture captures for ever, until it is killed.
func playCapture() {
	pid, _ := strconv.Atoi(os.Getenv("CAPTURE_TEST_PID"))
	fmt.Println("up")
	for {
		_, err := Take(context.Background(), Target{PID: pid}, Options{Core: os.Getenv("CAPTURE_TEST_CORE")})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// playTracer traces a process until its stdin ends.
func playTracer() {
	pid, _ := strconv.Atoi(os.Getenv("CAPTURE_TEST_PID"))
	onOwnThread(func() {
		if _, err := freezeForTest(pid); err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("up")
		_, _ = io.ReadAll(os.Stdin)
	})
}

// freezeForTest seizes and interrupts without releasing.
func freezeForTest(pid int) (*frozen, error) {
	return freeze(context.Background(), Target{PID: pid})
}

var (
	fixtureOnce sync.Once
	fixtureDir  string
	fixturePath string
	fixtureErr  error
)

// fixture builds the program of testdata/target once.
func fixture(t *testing.T) string {
	t.Helper()
	fixtureOnce.Do(func() {
		fixtureDir, fixtureErr = os.MkdirTemp("", "capture-test-")
		if fixtureErr != nil {
			return
		}
		fixturePath = filepath.Join(fixtureDir, "target")
		var out []byte
		out, fixtureErr = exec.Command("go", "build", "-o", fixturePath, "./testdata/target").CombinedOutput()
		if fixtureErr != nil {
			fixtureErr = fmt.Errorf("cannot build the target: %w: %s", fixtureErr, out)
		}
	})
	if fixtureErr != nil {
		t.Fatal(fixtureErr)
	}
	return fixturePath
}

// child is a running target.
type child struct {
	pid   int
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
}

// run starts a program and waits for its first line when it is to have one.
func run(t *testing.T, first string, env []string, name string, args ...string) *child {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// An own pipe: Wait would close that of StdoutPipe under its reader.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	c := &child{pid: cmd.Process.Pid, cmd: cmd, in: in, lines: make(chan string, 8192)}
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			c.lines <- s.Text()
		}
		_ = r.Close()
	}()
	t.Cleanup(func() { c.kill() })
	if first != "" {
		c.expect(t, first)
	}
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// expect reads lines until one is want.
func (c *child) expect(t *testing.T, want string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				t.Fatalf("the target ended before it said %q", want)
			}
			if line == want {
				return
			}
		case <-limit:
			t.Fatalf("the target did not say %q", want)
		}
	}
}

// answers checks that the target still works.
func (c *child) answers(t *testing.T) {
	t.Helper()
	word := fmt.Sprint(time.Now().UnixNano())
	if _, err := fmt.Fprintln(c.in, word); err != nil {
		t.Fatal(err)
	}
	c.expect(t, "echo "+word)
}
