package probe

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// closedAddress is a port of which the listener has gone.
func closedAddress(t *testing.T) string {
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

func TestTCP(t *testing.T) {
	// Nobody accepts: the kernel does.
	r := NewTCP(TCP{Address: listen(t).Addr().String()})
	closing(t, r)
	for range 3 {
		want(t, r, most, true, 1, " accepts, after ")
	}
}

func TestTCPRefused(t *testing.T) {
	want(t, NewTCP(TCP{Address: closedAddress(t)}), most, false, 1, "refused: nobody listens")
}

// A backlog that is full: the kernel drops what asks for a connection.
func TestTCPSilence(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		cancel()
		if err != nil {
			want(t, NewTCP(TCP{Address: l.Addr().String()}), 100*time.Millisecond, false, 1, "cannot connect to ", ": no answer within T")
			return
		}
		defer c.Close()
	}
	t.Fatal("the backlog of 0 is never full")
}

func TestDialText(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EHOSTUNREACH: "no route to a:1: no route to host",
		syscall.ENETUNREACH:  "no route to a:1: network is unreachable",
		syscall.ETIMEDOUT:    "cannot connect to a:1: no answer, after",
		syscall.EACCES:       "cannot connect to a:1: permission denied",
	} {
		err = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
		if got := dialText(t.Context(), time.Now(), "a:1", err); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %q", err, got)
		}
	}
	want(t, NewTCP(TCP{Address: "127.0.0.1"}), most, false, 0, "cannot connect to 127.0.0.1: ")
	want(t, NewTCP(TCP{Address: "no-such-host.invalid:1"}), most, false, 0, "cannot find the address of ")
}
