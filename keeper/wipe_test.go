package keeper

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// TestWipe: what one instance has left in shared memory is gone when the next
// one begins, by a standing order too; the head stays.
func TestWipe(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	fd, err := unix.MemfdCreate("page", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Pwrite(fd, bytes.Repeat([]byte("x"), 5000), 0); err != nil {
		t.Fatal(err)
	}
	s.ok(protocol.TPutFile, protocol.Name{Name: "page"}, fd)
	st := shell("a", `tr '\000' . < /proc/self/fd/3 | cut -c 1-66; printf y | dd of=/proc/self/fd/3 bs=1 seek=4000 conv=notrunc status=none; echo written; exec sleep 1000`)
	st.Files, st.Wipe, st.Again = []string{"page"}, []protocol.Wipe{{Name: "page", From: 64}}, true
	c := s.start(st)
	want := string(bytes.Repeat([]byte("x"), 64)) + ".."
	if got := c.line(t); got != want {
		t.Errorf("the first instance sees %q, want %q", got, want)
	}
	if got := c.line(t); got != "written" {
		t.Fatal(got)
	}
	s.ok(protocol.TSignal, protocol.Signal{ID: c.id, Number: int(unix.SIGKILL), Scope: protocol.ScopeMain})
	e := s.event(protocol.EventRestarted)
	next := running{id: "a#2", out: dup(t, e.files[1])}
	if got := next.line(t); got != want {
		t.Errorf("the second instance sees %q, want %q", got, want)
	}
	if got := next.line(t); got != "written" {
		t.Fatal(got)
	}
	s.killed("a#2")
	st.Instance, st.Wipe[0].From = 3, 5000
	if got := s.reply(protocol.TStart, st); got.Error == "" {
		t.Error("a wipe behind the end was taken")
	}
	st.Wipe[0].Name = "none"
	if got := s.reply(protocol.TStart, st); got.Error == "" {
		t.Error("a wipe of nothing was taken")
	}
}

// dup is a descriptor of the test's own; that of an event is closed with it.
func dup(t *testing.T, fd int) *os.File {
	t.Helper()
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(own), "dup")
	t.Cleanup(func() { f.Close() })
	return f
}
