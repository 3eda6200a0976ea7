package manager

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen is the receiving end of sd_notify; nobody reads it unless a test does.
func listen(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func open(t *testing.T) *Manager {
	t.Helper()
	m, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// receive reads one datagram and closes its descriptors.
func receive(t *testing.T, conn *net.UnixConn) (text string, files int) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf, oob := make([]byte, 2*maxDatagram), make([]byte, unix.CmsgSpace(4*scmMaxFD))
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range messages {
		fds, err := unix.ParseUnixRights(&c)
		if err != nil {
			t.Fatal(err)
		}
		closeAll(fds)
		files += len(fds)
	}
	return string(buf[:n]), files
}

func TestWithoutServiceManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m := open(t)
	name := "a"
	for what, err := range map[string]error{
		"ready": m.Ready("up"), "status": m.Status("x"), "reloading": m.Reloading(), "stopping": m.Stopping(),
		"main pid": m.MainPID(1), "extend": m.ExtendTimeout(time.Second), "ping": m.Ping(), "store": m.Store(name, 0),
		"remove": m.Remove(name), "barrier": m.Barrier(time.Second),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m.Present() || m.WatchdogInterval() != 0 || len(m.Stored()) != 0 {
		t.Error("a service manager came out of nothing")
	}
}

func TestMessages(t *testing.T) {
	conn := listen(t)
	t.Setenv("WATCHDOG_USEC", "2000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	m := open(t)
	if m.WatchdogInterval() != 2*time.Second {
		t.Errorf("watchdog interval %v", m.WatchdogInterval())
	}
	for _, c := range []struct {
		call func() error
		want string
		fds  int
	}{
		{func() error { return m.Ready("2 services") }, "READY=1\nSTATUS=2 services", 0},
		{func() error { return m.Status("a\nREADY=1\x1b") }, `STATUS=a\x0aREADY=1\x1b`, 0},
		{func() error { return m.Status(strings.Repeat("é", 3000)) }, "STATUS=" + strings.Repeat("é", 510) + "...", 0},
		{m.Stopping, "STOPPING=1", 0},
		{m.Ping, "WATCHDOG=1", 0},
		{func() error { return m.MainPID(42) }, "MAINPID=42", 0},
		{func() error { return m.ExtendTimeout(3 * time.Second) }, "EXTEND_TIMEOUT_USEC=3000000", 0},
		{func() error { return m.Store("a/b", 0, 1) }, "FDSTORE=1\nFDPOLL=0\nFDNAME=a/b", 2},
		{func() error { return m.Remove("a/b") }, "FDSTOREREMOVE=1\nFDNAME=a/b", 0},
	} {
		if err := c.call(); err != nil {
			t.Fatalf("%q: %v", c.want, err)
		}
		if text, files := receive(t, conn); text != c.want || files != c.fds {
			t.Errorf("got %q with %d descriptors, want %q with %d", text, files, c.want, c.fds)
		}
	}
	if err := m.Reloading(); err != nil {
		t.Fatal(err)
	}
	text, _ := receive(t, conn)
	usec, err := strconv.ParseInt(strings.TrimPrefix(text, "RELOADING=1\nMONOTONIC_USEC="), 10, 64)
	if err != nil || usec <= 0 {
		t.Errorf("got %q", text)
	}
}

// A service manager that does not read costs the caller nothing, gets
// everything in order afterwards, and has no more than the bound waiting.
func TestQueue(t *testing.T) {
	conn := listen(t)
	m := open(t)
	var sent int
	var err error
	for ; err == nil && sent < 10*maxQueue; sent++ {
		err = m.MainPID(sent)
	}
	sent-- // the one that was refused
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d messages: %v", sent, err)
	}
	if err := m.Store("late", 0); !errors.Is(err, ErrFull) {
		t.Errorf("store: %v", err)
	}
	for i := range sent {
		if text, _ := receive(t, conn); text != fmt.Sprintf("MAINPID=%d", i) {
			t.Fatalf("message %d is %q", i, text)
		}
	}
	if lost, why := m.Lost(); lost != 0 {
		t.Errorf("%d lost: %v", lost, why)
	}
}

// Descriptors in the queue are the queue's own; only the latest status waits.
func TestQueueKeepsDescriptorsAndLatestStatus(t *testing.T) {
	conn := listen(t)
	m := open(t)
	direct := 0
	for ; len(m.waiting()) < 2; direct++ {
		if err := m.MainPID(direct); err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Store("pipe", int(r.Fd()), int(w.Fd())); err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	for i := range 1000 {
		if err := m.Status(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	for range direct {
		receive(t, conn)
	}
	if text, files := receive(t, conn); files != 2 || !strings.Contains(text, "FDNAME=pipe") {
		t.Errorf("got %q with %d descriptors", text, files)
	}
	if text, _ := receive(t, conn); text != "STATUS=999" {
		t.Errorf("got %q", text)
	}
}

func (m *Manager) waiting() []message {
	m.link.mu.Lock()
	defer m.link.mu.Unlock()
	return m.link.queue
}

func TestCloseWithFullQueue(t *testing.T) {
	listen(t)
	m := open(t)
	for m.Store("x", 0) == nil {
	}
	m.Close()
	m.Close()
	if err := m.Status("x"); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// A service manager that makes its socket anew is found again.
func TestSocketMadeAnew(t *testing.T) {
	conn := listen(t)
	path := conn.LocalAddr().String()
	m := open(t)
	conn.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := m.Status("nobody"); err == nil {
		t.Error("told nobody, and no error")
	}
	again, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := m.Status("back"); err != nil {
		t.Fatal(err)
	}
	if text, _ := receive(t, again); text != "STATUS=back" {
		t.Errorf("got %q", text)
	}
}

func TestBarrier(t *testing.T) {
	conn := listen(t)
	m := open(t)
	if err := m.Barrier(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nobody reads: %v", err)
	}
	receive(t, conn)
	done := make(chan error, 1)
	go func() { done <- m.Barrier(10 * time.Second) }()
	if text, files := receive(t, conn); text != "BARRIER=1" || files != 1 {
		t.Errorf("got %q with %d descriptors", text, files)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStoreBounds(t *testing.T) {
	conn := listen(t)
	t.Setenv("FDSTORE", "3")
	m := open(t)
	if n, known := m.StoreLimit(); n != 3 || !known {
		t.Errorf("limit %d, known %v", n, known)
	}
	for i, c := range []struct {
		do   func() error
		want error
	}{
		{func() error { return m.Store("a", 0, 1) }, nil},
		{func() error { return m.Store("b", 0, 1) }, ErrStoreFull},
		{func() error { return m.Store("a", 2) }, nil},
		{func() error { return m.Store("b", 0) }, ErrStoreFull},
		{func() error { return m.Remove("a") }, nil},
		{func() error { return m.Store("b", 0) }, nil},
		{func() error { return m.Store("no:colon", 0) }, ErrName},
		{func() error { return m.Remove("") }, ErrName},
		{func() error { return m.Store("none") }, errCount},
	} {
		err := c.do()
		if !errors.Is(err, c.want) {
			t.Errorf("step %d: %v, want %v", i, err, c.want)
		}
		if err == nil {
			receive(t, conn)
		}
	}
	m.store.limited = false
	name := strings.Repeat("n", maxName)
	n := 0
	for err := error(nil); err == nil && n < 1000; n++ {
		if err = m.Store(name, 0); err == nil {
			receive(t, conn)
		}
	}
	// "b" of above is one more.
	if want := (maxNames - 2) / (maxName + 1); n-1 != want {
		t.Errorf("%d long names fit, want %d", n-1, want)
	}
}

func TestEnvironment(t *testing.T) {
	variables := []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}
	self := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		name, value string
		want        error
	}{
		{"NOTIFY_SOCKET", "relative", errAddress},
		{"NOTIFY_SOCKET", "@", errAddress},
		{"NOTIFY_SOCKET", "vsock:2:1234", errAddress},
		{"NOTIFY_SOCKET", "/nowhere/at/all", unix.ENOENT},
		{"NOTIFY_SOCKET", "/" + strings.Repeat("x", 200), unix.EINVAL},
		{"WATCHDOG_USEC", "-1", nil},
		{"FDSTORE", "many", errCount},
		{"LISTEN_FDS", "99999999999", errCount},
		{"LISTEN_FDS", "1000000", errCount},
		{"LISTEN_FDS", "-3", errCount},
		{"LISTEN_PID", "1", errNotOurs},
	} {
		for _, v := range variables {
			t.Setenv(v, "")
		}
		t.Setenv("LISTEN_PID", self)
		if c.name == "LISTEN_PID" {
			t.Setenv("LISTEN_FDS", "1")
		}
		t.Setenv("LISTEN_PIDFDID", "77")
		t.Setenv("FDSTORE", "0")
		t.Setenv(c.name, c.value)
		m, err := Open()
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s=%.30s: %v, want %v", c.name, c.value, err, c.want)
		}
		if err := m.Ready("usable"); err != nil {
			t.Errorf("%s=%.30s: not usable: %v", c.name, c.value, err)
		}
		for _, v := range variables {
			if value, is := os.LookupEnv(v); is {
				t.Errorf("%s=%s is still there", v, value)
			}
		}
	}
}
