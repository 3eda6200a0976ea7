package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection and the raw descriptor of the other end.
func pair(t testing.TB) (*Conn, int) {
	t.Helper()
	c, far, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(far.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	far.Close()
	if err != nil {
		t.Fatal(err)
	}
	return c, fd
}

// conns is a connection on both ends.
func conns(t testing.TB) (near, far *Conn) {
	t.Helper()
	c, fd := pair(t)
	f, err := NewConn(os.NewFile(uintptr(fd), "far"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); f.Close() })
	return c, f
}

// openFiles counts the descriptors of this process. Entries that are gone by
// the time they are read are the listing's own.
func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if _, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			n++
		}
	}
	return n
}

// noLeak fails the test if it leaves descriptors behind. It opens a connection
// first, so that the runtime's own poller is not counted.
func noLeak(t *testing.T) {
	t.Helper()
	c, fd := pair(t)
	c.Close()
	unix.Close(fd)
	before := openFiles(t)
	t.Cleanup(func() {
		if after := openFiles(t); after != before {
			t.Errorf("%d descriptors are open, %d were", after, before)
		}
	})
}

// pipes makes n read ends; from each, one byte of its own can be read.
func pipes(t *testing.T, n int) []int {
	t.Helper()
	var ends []int
	for i := range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(p[1], []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		unix.Close(p[1])
		ends = append(ends, p[0])
	}
	t.Cleanup(func() { closeAll(ends) })
	return ends
}

func TestRoundTrip(t *testing.T) {
	for _, files := range []int{0, 1, MaxFiles} {
		for _, size := range []int{0, 1, 1000, MaxBody} {
			t.Run(fmt.Sprintf("files=%d,body=%d", files, size), func(t *testing.T) { roundTrip(t, files, size) })
		}
	}
}

func roundTrip(t *testing.T, files, size int) {
	noLeak(t)
	near, far := conns(t)
	want := Message{Type: TStart, ID: 1<<63 + 7, Epoch: 9, Body: bytes.Repeat([]byte("x"), size), Files: pipes(t, files)}
	sent := make(chan error, 1)
	go func() { sent <- near.Send(want) }()
	got, err := far.Receive()
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	defer got.CloseFiles()
	if got.Type != want.Type || got.ID != want.ID || got.Epoch != want.Epoch || !bytes.Equal(got.Body, want.Body) {
		t.Errorf("got %s id %d epoch %d with %d bytes", got.Type, got.ID, got.Epoch, len(got.Body))
	}
	if len(got.Files) != files {
		t.Fatalf("%d descriptors, want %d", len(got.Files), files)
	}
	for i, fd := range got.Files {
		b := make([]byte, 2)
		if n, err := unix.Read(fd, b); n != 1 || err != nil || b[0] != byte(i) {
			t.Errorf("descriptor %d: read %v, %d, %v", i, b[:max(n, 0)], n, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d would leak into a child: flags %#x, %v", i, flags, err)
		}
	}
}

// TestFramesKeepTheirFiles sends frames back to back: each comes with its own.
func TestFramesKeepTheirFiles(t *testing.T) {
	noLeak(t)
	near, far := conns(t)
	for i := range 50 {
		m := Message{Type: TPutFile, ID: uint64(i), Body: bytes.Repeat([]byte("b"), i), Files: pipes(t, i%4)}
		if err := near.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		m, err := far.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.ID != uint64(i) || len(m.Body) != i || len(m.Files) != i%4 {
			t.Errorf("frame %d: id %d, %d bytes, %d descriptors", i, m.ID, len(m.Body), len(m.Files))
		}
		m.CloseFiles()
	}
}

func TestSendRefusesWhatIsTooMuch(t *testing.T) {
	near, _ := conns(t)
	if err := near.Send(Message{Type: TStart, Body: make([]byte, MaxBody+1)}); err == nil {
		t.Error("a body over the limit was sent")
	}
	if err := near.Send(Message{Type: TStart, Files: make([]int, MaxFiles+1)}); err == nil {
		t.Error("descriptors over the limit were sent")
	}
	if _, err := Make(TPutNote, 1, 1, Note{Text: make([]byte, MaxBody)}); err == nil {
		t.Error("a body over the limit was made")
	}
}

func frame(m Message) []byte {
	h := encodeHeader(m)
	return append(h[:], m.Body...)
}

func changed(at int, value byte) []byte {
	b := frame(Message{Type: TBeat})
	b[at] = value
	return b
}

func TestReceiveRefusesMalformed(t *testing.T) {
	oversized := frame(Message{Type: TBeat})
	binary.BigEndian.PutUint32(oversized[4:], MaxBody+1)
	huge := frame(Message{Type: TBeat})
	binary.BigEndian.PutUint32(huge[4:], 1<<32-1)
	cases := map[string][]byte{
		"magic": changed(0, 0), "version": changed(2, Version+1), "type 0": changed(3, 0), "type 63": changed(3, 63),
		"type 255": changed(3, 255), "oversized body": oversized, "huge body": huge,
		"more files than allowed": changed(24, MaxFiles+1), "files that do not come": changed(24, 1),
		"first reserved byte": changed(25, 1), "last reserved byte": changed(31, 0x80),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			c, fd := pair(t)
			defer c.Close()
			defer unix.Close(fd)
			if _, err := unix.Write(fd, b); err != nil {
				t.Fatal(err)
			}
			m, err := c.Receive()
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

// TestReceiveCountsFiles: descriptors that do not match the header are closed.
func TestReceiveCountsFiles(t *testing.T) {
	for _, c := range []struct{ announced, sent int }{{0, 1}, {1, 2}, {3, 1}, {MaxFiles, MaxFiles + 1}, {0, 200}} {
		t.Run(fmt.Sprintf("%d for %d", c.sent, c.announced), func(t *testing.T) {
			noLeak(t)
			near, fd := pair(t)
			defer near.Close()
			defer unix.Close(fd)
			rights := unix.UnixRights(pipes(t, c.sent)...)
			if err := unix.Sendmsg(fd, changed(24, byte(c.announced)), rights, nil, 0); err != nil {
				t.Fatal(err)
			}
			if m, err := near.Receive(); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

// TestReceiveFilesWithTheBody: descriptors that come late are the kernel's to
// close.
func TestReceiveFilesWithTheBody(t *testing.T) {
	noLeak(t)
	c, fd := pair(t)
	defer c.Close()
	defer unix.Close(fd)
	b := frame(Message{Type: TBeat, Body: []byte("{}")})
	if _, err := unix.Write(fd, b[:HeaderSize]); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(fd, b[HeaderSize:], unix.UnixRights(pipes(t, 3)...), nil, 0); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Receive(); err != nil || len(m.Files) != 0 || string(m.Body) != "{}" {
		t.Errorf("got %v, %v", m, err)
	}
}

// TestReceiveInPieces: a stream has no boundaries to rely on.
func TestReceiveInPieces(t *testing.T) {
	noLeak(t)
	c, fd := pair(t)
	defer c.Close()
	defer unix.Close(fd)
	b := frame(Message{Type: TPutNote, ID: 5, Body: []byte(`{"key":"a"}`)})
	go func() {
		for i := range b {
			_, _ = unix.Write(fd, b[i:i+1])
		}
	}()
	m, err := c.Receive()
	var n Note
	if err != nil || m.Into(&n) != nil || n.Key != "a" || m.ID != 5 {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestReceiveAtTheEnd: io.EOF between frames, another error within one.
func TestReceiveAtTheEnd(t *testing.T) {
	b := frame(Message{Type: TPutNote, Body: []byte(`{"key":"a"}`)})
	for cut := range len(b) {
		c, fd := pair(t)
		if _, err := unix.Write(fd, b[:cut]); cut > 0 && err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		_, err := c.Receive()
		c.Close()
		switch {
		case cut == 0 && err != io.EOF:
			t.Errorf("nothing sent: %v", err)
		case cut > 0 && (!errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
	}
}

// TestReceiveTruncatedClosesFiles: what came with the part belongs to nobody.
func TestReceiveTruncatedClosesFiles(t *testing.T) {
	noLeak(t)
	for _, cut := range []int{1, HeaderSize, HeaderSize + 1} {
		c, fd := pair(t)
		b := frame(Message{Type: TPutFile, Body: []byte("{}"), Files: make([]int, 2)})
		if err := unix.Sendmsg(fd, b[:cut], unix.UnixRights(pipes(t, 2)...), nil, 0); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		if m, err := c.Receive(); err == nil {
			t.Errorf("cut after %d bytes: %v", cut, m)
		}
		c.Close()
	}
}

func TestSendToNobody(t *testing.T) {
	c, fd := pair(t)
	defer c.Close()
	unix.Close(fd)
	if err := c.Send(Message{Type: TBeat}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("got %v", err)
	}
}

// TestSendIsWhole: frames of several senders do not mix, even where the socket
// takes them in parts.
func TestSendIsWhole(t *testing.T) {
	near, far := conns(t)
	const senders, each = 4, 25
	for s := range senders {
		go func() {
			body := bytes.Repeat([]byte{byte('a' + s)}, 300<<10)
			for range each {
				_ = near.Send(Message{Type: TNote, ID: uint64(s), Body: body})
			}
		}()
	}
	for range senders * each {
		m, err := far.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(m.Body, []byte{byte('a' + m.ID)}); n != 300<<10 {
			t.Fatalf("frame of sender %d: %d of its bytes", m.ID, n)
		}
	}
}

func TestNewConnRefusesOthers(t *testing.T) {
	noLeak(t)
	p := pipes(t, 1)
	dup, err := unix.FcntlInt(uintptr(p[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewConn(os.NewFile(uintptr(dup), "pipe")); err == nil {
		t.Error("a pipe was taken for a socket")
	}
}

// TestBodies: every body comes back as it was sent.
func TestBodies(t *testing.T) {
	one := 1
	for _, want := range []any{
		&Start{Key: "a", Instance: 3, Path: "/bin/x", Args: []string{"x", "é\n"}, Env: []string{"A=b"}, Umask: &one, Rlimits: []Rlimit{{1, 2, 1<<64 - 1}},
			Credential: &Credential{UID: 1, GID: 2, Groups: []uint32{3}}, Output: OutputPipe, StopTimeout: time.Second},
		&Event{Seq: 1, Kind: EventExited, Exit: &Exit{Status: 9, MaxRSS: 1}, PIDs: []int{1}, Failure: &Reply{Stage: "exec", Errno: 2}},
		&Note{Key: "k", Text: []byte{0, 1, 255}},
	} {
		m, err := Make(TEvent, 1, 2, want)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
		if err := m.Into(got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	if err := (Message{Type: TStart, Body: []byte("{")}).Into(&Start{}); err == nil {
		t.Error("half a body was decoded")
	}
}

func TestTypeNames(t *testing.T) {
	for _, r := range [][2]Type{{THello, TQuit}, {TWelcome, TEvent}} {
		for typ := r[0]; typ <= r[1]; typ++ {
			if !typ.Known() {
				t.Errorf("%d has no name", typ)
			}
		}
	}
	if s := Type(200).String(); s != "type-200" {
		t.Error(s)
	}
}
