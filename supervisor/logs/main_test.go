package logs

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds a wait for something that happens at once when it works.
const patience = 60 * time.Second

// The test binary plays the service, and the supervisor on a full disk.
func TestMain(m *testing.M) {
	switch os.Getenv("LOGS_ROLE") {
	case "flood":
		n, _ := strconv.Atoi(os.Getenv("LOGS_LINES"))
		w := bufio.NewWriterSize(os.Stdout, 8<<10)
		for i := range n {
			_, _ = fmt.Fprintf(w, "%0*d\n", 99, i)
		}
		_ = w.Flush()
		return
	case "endless":
		endless()
		return
	case "killed":
		if err := killed(os.Getenv("LOGS_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case "floor":
		if err := floor(os.Getenv("LOGS_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case "fulldisk":
		if err := fullDisk(os.Getenv("LOGS_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

var background = context.Background()

func role(name string, env ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Env = append(env, "LOGS_ROLE="+name, "GORACE=atexit_sleep_ms=0")
	c.Stderr = os.Stderr
	return c
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func newOutput(t *testing.T, o Options) *Output {
	t.Helper()
	if o.Service == "" {
		o.Service = "web"
	}
	out, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := out.Close(ctx(t)); err != nil {
			t.Error(err)
		}
	})
	return out
}

func done(t *testing.T, r *Reader) {
	t.Helper()
	select {
	case <-r.Done():
	case <-time.After(patience):
		t.Fatal("the reader does not end")
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

func texts(lines []Line) []string {
	var all []string
	for _, l := range lines {
		all = append(all, l.Text)
	}
	return all
}
