package probe

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeServer speaks as much of ZooKeeper's protocol as a canary needs, and lies
// where a test asks it to.
type fakeServer struct {
	address  string
	greeting []byte       // instead of its own
	hang     atomic.Bool  // writes are not answered
	refuse   atomic.Int32 // error code of writes
	giant    atomic.Bool  // reads claim two gigabytes
	sessions atomic.Int32
	srvr     string
}

func fake(t *testing.T) *fakeServer {
	l := listen(t)
	s := &fakeServer{address: l.Addr().String(), srvr: "Zookeeper version: 3.8\nMode: follower\nNode count: 5\n"}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-served })
	return s
}

func (s *fakeServer) serve(c net.Conn) {
	defer c.Close()
	var word [4]byte
	if _, err := io.ReadFull(c, word[:]); err != nil {
		return
	}
	if string(word[:]) == "srvr" {
		_, _ = io.WriteString(c, s.srvr)
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(word[:]))); err != nil {
		return
	}
	greeting := s.greeting
	if greeting == nil {
		greeting = greet(10000, 7, 16)
	}
	s.sessions.Add(1)
	if _, err := c.Write(greeting); err != nil {
		return
	}
	for zxid := uint64(1); ; zxid++ {
		if _, err := io.ReadFull(c, word[:]); err != nil {
			return
		}
		req := make([]byte, binary.BigEndian.Uint32(word[:]))
		if _, err := io.ReadFull(c, req); err != nil {
			return
		}
		if reply := s.reply(req, zxid); reply != nil {
			if _, err := c.Write(framed(reply)); err != nil {
				return
			}
		}
	}
}

func (s *fakeServer) reply(req []byte, zxid uint64) []byte {
	head := append(req[:4:4], binary.BigEndian.AppendUint64(nil, zxid)...)
	code := int32(0)
	var body []byte
	stat := binary.BigEndian.AppendUint64(make([]byte, 0, 68), 1)
	stat = append(binary.BigEndian.AppendUint64(stat, 1), make([]byte, 52)...)
	switch binary.BigEndian.Uint32(req[4:]) {
	case opSetData:
		if s.hang.Load() {
			return nil
		}
		if code = s.refuse.Load(); code == 0 {
			body = stat
		}
	case opGetData:
		body = append([]byte{0, 0, 0, 0}, stat...)
		if s.giant.Load() {
			body[0] = 0x7f
		}
	}
	return append(binary.BigEndian.AppendUint32(head, uint32(code)), body...)
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// greet makes a connect response with a password of zeros, and what its length
// claims to be.
func greet(timeout uint32, session uint64, password uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, 0)
	b = binary.BigEndian.AppendUint32(b, timeout)
	b = binary.BigEndian.AppendUint64(b, session)
	b = binary.BigEndian.AppendUint32(b, password)
	return framed(append(b, make([]byte, 17)...))
}

func canary(t *testing.T, address string) *zkRunner {
	t.Helper()
	r := NewZooKeeper(ZooKeeper{Address: address, Canary: "/vigil/test"})
	closing(t, r)
	return r.(*zkRunner)
}

func TestCanary(t *testing.T) {
	s := fake(t)
	r := canary(t, s.address)
	for range 3 {
		if res := want(t, r, most, true, 1, "wrote and read /vigil/test/", "; follower"); res.Role != "follower" {
			t.Errorf("role %q", res.Role)
		}
	}
	if n := s.sessions.Load(); n != 2 {
		t.Errorf("%d sessions, want the two that are kept", n)
	}
	s.refuse.Store(-102)
	want(t, r, most, false, 1, "write: the node's ACL does not allow it; read-only session answers; follower")
	s.refuse.Store(0)
	want(t, r, most, true, 1)
}

// What a follower does whose leader is stuck.
func TestCanaryOfAWedgedCluster(t *testing.T) {
	s := fake(t)
	r := canary(t, s.address)
	want(t, r, most, true, 1)
	s.hang.Store(true)
	for range 2 * maxPending {
		res := want(t, r, 100*time.Millisecond, false, 1, "write: no answer within T; read-only session answers: the cluster does not take writes; follower")
		if res.Role != "follower" {
			t.Errorf("role %q", res.Role)
		}
	}
	s.hang.Store(false)
	want(t, r, most, true, 1)
	if n := s.sessions.Load(); n > 4 {
		t.Errorf("%d sessions were opened", n)
	}
}

func TestCanaryOfAServerThatLies(t *testing.T) {
	for name, greeting := range map[string][]byte{
		"not ZooKeeper":    []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"giant frame":      {0xff, 0xff, 0xff, 0xff},
		"short frame":      framed(make([]byte, 19)),
		"no timeout":       greet(0, 7, 16),
		"negative timeout": greet(1<<31, 7, 16),
		"giant password":   greet(10000, 7, 1<<31-1),
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t)
			s.greeting = greeting
			want(t, canary(t, s.address), most, false, 1, "session: the answer is not that of a ZooKeeper server")
		})
	}
	s := fake(t)
	s.giant.Store(true)
	want(t, canary(t, s.address), most, false, 1, "read: the answer is not that of a ZooKeeper server")
	s = fake(t)
	s.greeting = greet(0, 0, 16) // a session that has expired
	want(t, canary(t, s.address), most, false, 1, "session: the server closed the connection; the same of the read-only session")
}

func TestCanaryOfNobody(t *testing.T) {
	r := canary(t, closedAddress(t))
	for range 2 {
		want(t, r, most, false, 0, "connect: connection to 127.0.0.1:", "refused: nobody listens; the same of the read-only session")
	}
	r = canary(t, listen(t).Addr().String())
	for range 2 {
		want(t, r, time.Second, false, 1, "session: no answer within T; the same of the read-only session; role unknown: srvr: no answer within T")
	}
}

func TestRoleOf(t *testing.T) {
	for _, c := range []struct{ report, role, why string }{
		{"Zookeeper version: 3\nMode: leader\nNode count: 5\n", "leader", ""},
		{"Mode: observer", "observer", ""},
		{"Mode: read-only", "", "mode is read-only"},
		{"srvr is not executed because it is not in the whitelist.\n", "", "whitelist"},
		{"This ZooKeeper instance is not currently serving requests\n", "", "not currently serving"},
		{"", "", "no answer"},
		{"HTTP/1.1 400\r\n", "", "names no mode"},
	} {
		if role, why := roleOf(c.report); role != c.role || !strings.Contains(why, c.why) {
			t.Errorf("%q: %q, %q", c.report, role, why)
		}
	}
}

func TestNodeName(t *testing.T) {
	if n := nodeName("[::1%a/b]:2181"); !strings.HasSuffix(n, "-_::1_a_b_:2181") || strings.Contains(n, "/") {
		t.Error(n)
	}
}

func FuzzRoleOf(f *testing.F) {
	f.Add("Mode: leader\n")
	f.Fuzz(func(t *testing.T, report string) {
		if role, why := roleOf(report); (role == "") == (why == "") || len(role) > 16 {
			t.Errorf("%q, %q", role, why)
		}
	})
}

// What passes must not claim more than there is.
func FuzzFrames(f *testing.F) {
	f.Add(greet(10000, 7, 16)[4:], true)
	f.Add(make([]byte, 19), false)
	f.Fuzz(func(t *testing.T, b []byte, get bool) {
		if soundGreeting(b) && int64(int32(binary.BigEndian.Uint32(b[16:]))) > int64(len(b)) {
			t.Error("greeting")
		}
		if soundReply(b, func(uint32) bool { return get }) && get && binary.BigEndian.Uint32(b[12:]) == 0 && int64(int32(binary.BigEndian.Uint32(b[16:]))) > int64(len(b)) {
			t.Error("reply")
		}
	})
}
