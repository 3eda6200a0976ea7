package pidfd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// child starts a process that ends by a signal or when its stdin is closed.
// Nothing else waits for it: os.Process is released.
func child(t *testing.T, script string) (pid int, fd FD, stdin *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", script}, &os.ProcAttr{Files: []*os.File{r, nil, nil}})
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	pid = p.Pid
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	fd, err = Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		_ = fd.Signal(unix.SIGKILL)
		_, _ = fd.Waitid(unix.WEXITED)
		if err := fd.Close(); err != nil {
			t.Error(err)
		}
	})
	return pid, fd, w
}

func TestLife(t *testing.T) {
	pid, fd, stdin := child(t, "read x; exit 7")
	if fd.Exited() {
		t.Error("dead at birth")
	}
	if _, err := fd.Waitid(unix.WEXITED | unix.WNOHANG); !errors.Is(err, ErrRunning) {
		t.Errorf("waitid: %v", err)
	}
	ticks, err := StartTicks(pid)
	if err != nil || !Same(pid, ticks) || Same(pid, ticks+1) {
		t.Errorf("ticks %d, %v", ticks, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := fd.Dead(ctx); !errors.Is(err, why) {
		t.Errorf("Dead with a cancelled context: %v", err)
	}
	stdin.Close()
	if err := fd.Dead(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := fd.Waitid(unix.WEXITED | unix.WNOWAIT); err != nil {
		t.Error(err)
	}
	s, err := fd.Waitid(unix.WEXITED)
	if status, ok := s.Exited(); err != nil || !ok || status != 7 || s.PID != pid || s.Rusage.Maxrss == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := fd.Waitid(unix.WEXITED); !errors.Is(err, unix.ECHILD) {
		t.Errorf("second wait: %v", err)
	}
	if err := fd.Signal(unix.SIGTERM); !errors.Is(err, unix.ESRCH) {
		t.Errorf("signal to the reaped: %v", err)
	}
}

func TestSignal(t *testing.T) {
	_, fd, _ := child(t, "read x")
	// Blocks although Dead has made the pidfd non-blocking.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = fd.Dead(ctx)
	if err := fd.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	s, err := fd.Waitid(unix.WEXITED)
	if sig, ok := s.Signaled(); err != nil || !ok || sig != unix.SIGKILL {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestInfo(t *testing.T) {
	pid, fd, stdin := child(t, "read x; exit 3")
	in, err := fd.Info()
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		t.Skip("needs PIDFD_GET_INFO, Linux 6.13")
	}
	if err != nil || !in.HasPID || in.PID != pid || in.PPID != os.Getpid() || in.HasExit {
		t.Errorf("%+v, %v", in, err)
	}
	stdin.Close()
	if _, err := fd.Waitid(unix.WEXITED); err != nil {
		t.Fatal(err)
	}
	in, err = fd.Info()
	if errors.Is(err, unix.ESRCH) {
		t.Skip("needs PIDFD_INFO_EXIT, Linux 6.15")
	}
	if err != nil || !in.HasExit || in.Exit.ExitStatus() != 3 || in.HasPID {
		t.Errorf("after the end: %+v, %v", in, err)
	}
}

func TestOpenGone(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(1 << 30); !errors.Is(err, unix.ESRCH) && !errors.Is(err, syscall.EINVAL) {
		t.Errorf("error %v", err)
	}
}

func FuzzParseTicks(f *testing.F) {
	f.Add("1 (a b) c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 42 1 1")
	f.Add("1 (")
	f.Add("")
	f.Fuzz(func(t *testing.T, stat string) {
		if n, err := parseTicks(stat); err != nil && n != 0 {
			t.Error(n, err)
		}
	})
}
