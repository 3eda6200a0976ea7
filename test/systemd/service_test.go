package systemd

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/manager"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
)

// worker is what the service keeps over its own death: a child that answers
// every line with the same, and a memfd that counts the generations.
type worker struct {
	state, in, out *os.File
	pidfd          pidfd.FD
}

// service is the main process of the unit under test. What it finds is in its
// status line.
func service() int {
	m, err := manager.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGUSR1)
	w, err := find(m.Stored())
	if w == nil && err == nil {
		w, err = begin(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := w.report(len(m.Stored()))
	if err := m.Ready(status); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return serve(m, w, signals, status)
}

func serve(m *manager.Manager, w *worker, signals <-chan os.Signal, status string) int {
	var ping <-chan time.Time
	if d := m.WatchdogInterval(); d > 0 {
		t := time.NewTicker(d / 4)
		defer t.Stop()
		ping = t.C
	}
	for reloads := 0; ; {
		select {
		case <-ping:
			_ = m.Ping()
		case s := <-signals:
			switch s {
			case syscall.SIGUSR1:
				ping = nil // as if hung
			case syscall.SIGHUP:
				reloads++
				_ = m.Reloading()
				_ = m.Ready(fmt.Sprintf("%s reloads=%d", status, reloads))
			case syscall.SIGTERM:
				_ = m.Stopping()
				if os.Getenv("VIGIL_TEST_LEAVE") == "" {
					_ = w.pidfd.Signal(syscall.SIGKILL)
				}
				_ = m.Barrier(5 * time.Second)
				return 0
			}
		}
	}
}

// find takes over what a predecessor has left.
func find(stored map[string][]*os.File) (*worker, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	w := &worker{}
	for kind, to := range map[string]**os.File{"state": &w.state, "in": &w.in, "out": &w.out} {
		files := stored["echo/1/"+kind]
		if len(files) != 1 {
			return nil, fmt.Errorf("%d descriptors of kind %s", len(files), kind)
		}
		*to = files[0]
	}
	files := stored["echo/1/pidfd"]
	if len(files) != 1 {
		return nil, fmt.Errorf("%d pidfds", len(files))
	}
	w.pidfd = pidfd.FD(files[0].Fd())
	return w, nil
}

// begin starts the child and stores all that belongs to it.
func begin(m *manager.Manager) (*worker, error) {
	memfd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w := &worker{state: os.NewFile(uintptr(memfd), "state")}
	cmd := exec.Command("cat")
	var far [2]*os.File
	if far[0], w.in, err = os.Pipe(); err != nil {
		return nil, err
	}
	if w.out, far[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout = far[0], far[1]
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	far[0].Close()
	far[1].Close()
	if w.pidfd, err = pidfd.Open(cmd.Process.Pid); err != nil {
		return nil, err
	}
	for kind, fd := range map[string]int{"state": memfd, "in": int(w.in.Fd()), "out": int(w.out.Fd()), "pidfd": int(w.pidfd)} {
		name, err := manager.JoinName("echo", "1", kind)
		if err != nil {
			return nil, err
		}
		if err := m.Store(name, fd); err != nil {
			return nil, err
		}
	}
	return w, m.Barrier(5 * time.Second)
}

// report uses every descriptor and says how it went.
func (w *worker) report(names int) string {
	var b [1]byte
	_, _ = w.state.ReadAt(b[:], 0)
	b[0]++
	_, stateErr := w.state.WriteAt(b[:], 0)
	alive := !w.pidfd.Exited()
	echo := "dead"
	if alive {
		_, _ = fmt.Fprintf(w.in, "line %d\n", b[0])
		line, err := bufio.NewReader(w.out).ReadString('\n')
		echo = strings.ReplaceAll(strings.TrimSpace(line), " ", "-")
		if err != nil {
			echo = err.Error()
		}
	}
	left := 0
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "LISTEN_") || strings.HasPrefix(v, "NOTIFY_") || strings.HasPrefix(v, "WATCHDOG_") {
			left++
		}
	}
	return fmt.Sprintf("generation=%d names=%d alive=%v echo=%s environ=%d state=%v", b[0], names, alive, echo, left, stateErr)
}
