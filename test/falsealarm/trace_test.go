package falsealarm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// debugger holds a process by ptrace, on the one thread that the kernel accepts
// requests from.
type debugger struct {
	pid int
	ask chan func() error
	got chan error
}

func attach(pid int) (*debugger, error) {
	d := &debugger{pid: pid, ask: make(chan func() error), got: make(chan error)}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range d.ask {
			d.got <- f()
		}
		close(d.got)
	}()
	err := d.do(func() error {
		if err := unix.PtraceAttach(pid); err != nil {
			return fmt.Errorf("cannot attach to pid %d: %w", pid, err)
		}
		return d.stop(unix.SIGSTOP)
	})
	if err != nil {
		d.close()
	}
	return d, err
}

func (d *debugger) do(f func() error) error {
	d.ask <- f
	return <-d.got
}

func (d *debugger) close() {
	close(d.ask)
	<-d.got
}

// stop waits until the process stands still at a signal.
func (d *debugger) stop(sig syscall.Signal) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(d.pid, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("cannot wait for pid %d: %w", d.pid, err)
	}
	if !status.Stopped() || status.StopSignal() != sig {
		return fmt.Errorf("pid %d: status %#x", d.pid, status)
	}
	return nil
}

func (d *debugger) cont(sig syscall.Signal) error {
	return d.do(func() error { return unix.PtraceCont(d.pid, int(sig)) })
}

// holdAt sends a signal, which the process never sees: the debugger stops there.
func (d *debugger) holdAt(sig syscall.Signal) error {
	return d.do(func() error {
		if err := unix.Kill(d.pid, sig); err != nil {
			return err
		}
		return d.stop(sig)
	})
}

func (d *debugger) detach() error {
	return d.do(func() error { return unix.PtraceDetach(d.pid) })
}

func TestDebugger(t *testing.T) {
	s := start(t, "idle", nil)
	l := watchdog.NewLooker()
	d, err := attach(s.pid())
	if errors.Is(err, unix.EPERM) {
		t.Skipf("needs to trace its child: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	me := fmt.Sprintf("pid %d (", os.Getpid())
	await(t, l, s.pid(), "", "traced", me, "held (state t)")
	if err := d.cont(0); err != nil {
		t.Fatal(err)
	}
	await(t, l, s.pid(), "", "traced", me, "it runs")
	if err := d.holdAt(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	await(t, l, s.pid(), "", "traced", me, "held (state t)")
	if err := d.detach(); err != nil {
		t.Fatal(err)
	}
	await(t, l, s.pid(), "", "")
}

// A service that traces itself would otherwise never be judged.
func TestOwnTracerIsNoExcuse(t *testing.T) {
	g := group(t)
	s := start(t, "idle", inside(t, g))
	helper := start(t, "tracer "+strconv.Itoa(s.pid()), inside(t, g))
	helper.begin()
	if line := helper.line(); line != "attached" {
		t.Skipf("needs to trace another process: %s", line)
	}
	l := watchdog.NewLooker()
	if e := watchdog.Judge(l.Look(s.pid(), "", 0)); e.Name != "traced" {
		t.Errorf("a tracer of whom nothing is known: %s", e)
	}
	await(t, l, s.pid(), g.Path(), "")
}

func after(milliseconds int) <-chan time.Time {
	return time.After(time.Duration(milliseconds) * time.Millisecond)
}
