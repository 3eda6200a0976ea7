package watchdog

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/procbelong"
)

// patience bounds a wait for something that a working receiver does at once.
const patience = 20 * time.Second

// The test binary plays the service: it sends what it is told to and ends, or
// holds on until its standard input ends.
func TestMain(m *testing.M) {
	switch os.Getenv("WATCHDOG_ROLE") {
	case "send":
		if _, err := daemon.SdNotify(false, os.Getenv("WATCHDOG_TEXT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case "poor":
		if err := poor(os.Getenv("WATCHDOG_TEXT"), os.Getenv("WATCHDOG_FILE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case "wait":
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	goleak.VerifyTestMain(m)
}

type rig struct {
	path   string
	events chan Event
	r      *Receiver
}

func newRig(t *testing.T, belongs func(int, int) (bool, string)) *rig {
	t.Helper()
	g := &rig{path: filepath.Join(t.TempDir(), "notify"), events: make(chan Event)}
	f, err := Listen(g.path)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	g.r, err = FromFile(f, Options{Belongs: belongs, Deliver: func(e Event) {
		select {
		case g.events <- e:
		case <-stop:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(stop)
		if err := g.r.Close(); err != nil {
			t.Error(err)
		}
		<-g.r.Done()
		if err := g.r.Err(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *rig) next(t *testing.T) Event {
	t.Helper()
	select {
	case e := <-g.events:
		return e
	case <-time.After(patience):
		t.Fatal("no event")
		return Event{}
	}
}

// send sends one datagram with descriptors from this process.
func (g *rig) send(t *testing.T, text string, fds ...int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(fd, []byte(text), control, &unix.SockaddrUnix{Name: g.path}, 0); err != nil {
		t.Fatal(err)
	}
}

func TestReceiverTakesOwn(t *testing.T) {
	g := newRig(t, procbelong.Tree(os.Getpid()).Belongs)
	g.send(t, "READY=1\nSTATUS=up\nX_VIGIL_BEAT=w1")
	e := g.next(t)
	if e.Refused != "" || !e.Message.Ready || e.Message.Status != "up" || e.Message.Beats[0] != "w1" {
		t.Errorf("%+v", e)
	}
	if e.PID != os.Getpid() || e.UID != uint32(os.Getuid()) || e.At <= 0 {
		t.Errorf("sender: %+v", e)
	}
	e.Done()
}

func TestReceiverTakesChildThroughGoSystemd(t *testing.T) {
	g := newRig(t, procbelong.Tree(os.Getpid()).Belongs)
	c := exec.Command("/proc/self/exe")
	c.Env = append(wire.Environ(g.path, 0, 0), "WATCHDOG_ROLE=send", "WATCHDOG_TEXT=WATCHDOG=1", "GORACE=atexit_sleep_ms=0")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// The child is not reaped yet, so it is known even when it has ended.
	e := g.next(t)
	if e.Refused != "" || !e.Message.Beat || e.PID != c.Process.Pid {
		t.Errorf("%+v", e)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

func TestReceiverRefusesStranger(t *testing.T) {
	c := exec.Command("/proc/self/exe")
	c.Env = []string{"WATCHDOG_ROLE=wait", "GORACE=atexit_sleep_ms=0"}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = c.Wait() }()
	g := newRig(t, procbelong.Tree(c.Process.Pid).Belongs)
	r, w := pipe(t)
	g.send(t, "BARRIER=1", int(w.Fd()))
	_ = w.Close()
	e := g.next(t)
	if !strings.Contains(e.Refused, "does not descend") || !e.Message.Empty() || e.Closed != 1 || e.PID != os.Getpid() {
		t.Errorf("%+v", e)
	}
	// The stranger must not hang either.
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its barrier is still open: %v", err)
	}
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

func TestReceiverBarrierEndsWithDone(t *testing.T) {
	g := newRig(t, procbelong.Tree(os.Getpid()).Belongs)
	r, w := pipe(t)
	g.send(t, "BARRIER=1", int(w.Fd()))
	_ = w.Close()
	e := g.next(t)
	if e.Refused != "" || !e.Message.Barrier || e.Closed != 0 {
		t.Fatalf("%+v", e)
	}
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Errorf("the barrier ended before Done: %v", err)
	}
	e.Done()
	e.Done()
	_ = r.SetReadDeadline(time.Now().Add(patience))
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the barrier did not end: %v", err)
	}
}

func TestReceiverRefusesBadDatagrams(t *testing.T) {
	g := newRig(t, procbelong.Tree(os.Getpid()).Belongs)
	_, w := pipe(t)
	fd := int(w.Fd())
	many := make([]int, 253)
	for i := range many {
		many[i] = fd
	}
	for _, tt := range []struct {
		text   string
		fds    []int
		reason string
	}{
		{strings.Repeat("x", wire.MaxDatagram+1), nil, "larger"},
		{strings.Repeat("x", wire.MaxDatagram+100), nil, "larger"},
		{"READY=1\x00STATUS=x", nil, "NUL"},
		{"", nil, "empty"},
		{"BARRIER=1", nil, "alone"},
		{"BARRIER=1", []int{fd, fd}, "alone"},
		{"BARRIER=1\nREADY=1", []int{fd}, "alone"},
		{"BARRIER=1\nX=1", []int{fd}, "alone"},
		{"FDSTORE=1\nFDNAME=x", []int{fd, fd, fd}, ""},
		{"READY=1", many, ""},
	} {
		before := openFiles(t)
		g.send(t, tt.text, tt.fds...)
		e := g.next(t)
		if (tt.reason == "") != (e.Refused == "") || !strings.Contains(e.Refused, tt.reason) {
			t.Errorf("%.20q: refused %q, want %q", tt.text, e.Refused, tt.reason)
		}
		if e.Closed != len(tt.fds) {
			t.Errorf("%.20q: %d descriptors closed of %d", tt.text, e.Closed, len(tt.fds))
		}
		if after := openFiles(t); after != before {
			t.Errorf("%.20q: %d open files, were %d", tt.text, after, before)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestReceiverKeepsOrderAndBacklogForSuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	keep, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keep.Close() }()
	g := &rig{path: path}
	for i := range 5 {
		g.send(t, fmt.Sprintf("STATUS=%d", i))
	}
	// The first receiver takes one datagram and is closed within its delivery.
	got := make(chan Event, 10)
	var first *Receiver
	started := make(chan struct{})
	first, err = FromFile(keep, Options{Belongs: procbelong.Tree(os.Getpid()).Belongs, Deliver: func(e Event) {
		<-started
		got <- e
		_ = first.Close()
	}})
	if err != nil {
		t.Fatal(err)
	}
	close(started)
	<-first.Done()
	second, err := FromFile(keep, Options{Belongs: procbelong.Tree(os.Getpid()).Belongs, Deliver: func(e Event) { got <- e }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if e := <-got; e.Message.Status != fmt.Sprint(i) {
			t.Errorf("event %d has status %q", i, e.Message.Status)
		}
	}
	_ = second.Close()
	<-second.Done()
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	for range 2 { // the second replaces what the first left behind
		f, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{plain, filepath.Join(dir, "none", "s"), filepath.Join(dir, strings.Repeat("x", 108))} {
		if f, err := Listen(bad); err == nil {
			_ = f.Close()
			t.Errorf("Listen(%q) works", bad)
		}
	}
	if _, err := os.Stat(plain); err != nil {
		t.Error("Listen removed a file that is no socket")
	}
}

func TestFromFileRefusesOtherThings(t *testing.T) {
	r, _ := pipe(t)
	if _, err := FromFile(r, Options{}); err == nil {
		t.Error("a pipe was adopted")
	}
}

// A thousand idle receivers must not hold a buffer each.
func TestReceiverIdleMemory(t *testing.T) {
	const n = 200
	dir := t.TempDir()
	buffers := new(Buffers)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	receivers := make([]*Receiver, n)
	got := make(chan Event)
	for i := range receivers {
		f, err := Listen(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		receivers[i], err = FromFile(f, Options{Buffers: buffers, Belongs: procbelong.Tree(os.Getpid()).Belongs, Deliver: func(e Event) { got <- e }})
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		(&rig{path: filepath.Join(dir, fmt.Sprint(i))}).send(t, "WATCHDOG=1")
		<-got
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / n
	t.Logf("%d bytes per idle receiver", per)
	if per > 16<<10 {
		t.Errorf("%d bytes per idle receiver", per)
	}
	for _, r := range receivers {
		_ = r.Close()
		<-r.Done()
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte{})
	f.Add(unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: 2, Gid: 3}))
	f.Add([]byte{0x14, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := datagram{pidfd: -1}
		d.parseControl(b)
		if d.pidfd < -1 {
			t.Errorf("pidfd %d", d.pidfd)
		}
	})
}
