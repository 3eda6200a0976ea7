package heartbeat

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

func TestAttachRefuses(t *testing.T) {
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	unsealed, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(unsealed) }()
	garbage, err := clienttest.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = garbage.Close() }()
	garbage.Bytes[0] = 'X'
	for _, tt := range []struct {
		fd   int
		want error
	}{
		{int(plain.Fd()), unix.EINVAL},
		{unsealed, ErrSealed},
		{int(garbage.File.Fd()), wire.ErrPageMagic},
		{1 << 20, unix.EBADF},
	} {
		if _, err := Attach(tt.fd); !errors.Is(err, tt.want) {
			t.Errorf("%v, want %v", err, tt.want)
		}
		if _, err := unix.FcntlInt(uintptr(tt.fd), unix.F_GETFD, 0); err != nil && tt.want != unix.EBADF {
			t.Errorf("%v: the descriptor of others is gone: %v", tt.want, err)
		}
	}
}

// The variable and the descriptor as a service finds them.
func TestDefault(t *testing.T) {
	page := func(damage func([]byte)) *os.File {
		p, err := clienttest.New(5)
		if err != nil {
			t.Fatal(err)
		}
		damage(p.Bytes)
		t.Cleanup(func() { _ = p.Close() })
		return p.File
	}
	good := page(func([]byte) {})
	for name, tt := range map[string]struct {
		env  []string
		file *os.File
		want []string
	}{
		"no vigil": {nil, nil, []string{"0 slots, variable left false"}},
		"given":    {[]string{"VIGIL_HEARTBEAT_FD=3"}, good, []string{"5 slots, variable left false, descriptor open false\n"}},
		"garbage": {[]string{"VIGIL_HEARTBEAT_FD=3"}, page(func(b []byte) { copy(b, "GARBAGE!") }),
			[]string{"cannot use VIGIL_HEARTBEAT_FD=3: cannot use the page: wire: no page of activities: the magic is missing\nagain: ", "0 slots, variable left true, descriptor open true\n"}},
		"version": {[]string{"VIGIL_HEARTBEAT_FD=3"}, page(func(b []byte) { b[8] = 9 }),
			[]string{"unknown layout version 9 (this library knows 1)", "0 slots"}},
		"closed":    {[]string{"VIGIL_HEARTBEAT_FD=99"}, nil, []string{"descriptor 99 (closed on the way from vigil?): bad file descriptor", "0 slots"}},
		"no number": {[]string{"VIGIL_HEARTBEAT_FD=-3"}, good, []string{`VIGIL_HEARTBEAT_FD="-3": not a descriptor number`}},
		"empty":     {[]string{"VIGIL_HEARTBEAT_FD="}, good, []string{`VIGIL_HEARTBEAT_FD="": not a descriptor number`}},
	} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(tt.env, "HEARTBEAT_TEST_SERVICE=1", "GORACE=atexit_sleep_ms=0")
		if tt.file != nil {
			cmd.ExtraFiles = []*os.File{tt.file}
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s:\n%swithout %q", name, out, want)
			}
		}
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Errorf("without a supervisor: %v", err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "n"), fmt.Sprintf("@vigil-heartbeat-test-%d", os.Getpid())} {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", path)
		if err := Notify("READY=1"); err != nil {
			t.Error(err)
		}
		b := make([]byte, 100)
		if n, err := socket.Read(b); err != nil || string(b[:n]) != "READY=1" {
			t.Errorf("%q, %v", b[:n], err)
		}
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := Notify("READY=1"); err == nil {
		t.Error("nobody listens and nobody says so")
	}
}
