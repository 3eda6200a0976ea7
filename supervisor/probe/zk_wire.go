package probe

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// wire is the connection of a session. It tells when a demand has been written,
// and lets pass only what the library survives: it believes lengths and times
// of the server, and panics or takes gigabytes for those that are wrong, as
// those of a server that is none of ZooKeeper's are.
type wire struct {
	net.Conn
	session *session

	mu    sync.Mutex
	gets  map[uint32]struct{} // xids of reads that are not answered
	asked bool                // the connect request was written

	// Of the library's one reader.
	greeted bool   // the connect response was read
	rest    []byte // of a frame
}

// Operations of the protocol (ZooDefs.OpCode).
const (
	opCreate  = 1
	opGetData = 4
	opSetData = 5
)

var errNotZooKeeper = errors.New("the answer is not that of a ZooKeeper server")

// Write is called with whole frames.
func (w *wire) Write(p []byte) (int, error) {
	demand := w.note(p)
	n, err := w.Conn.Write(p)
	if err == nil && demand {
		if notice := w.session.notice.Load(); notice != nil {
			notice.tell()
		}
	}
	return n, err
}

// note says whether a frame is a demand: the connect request, or a write.
func (w *wire) note(p []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.asked {
		w.asked = true
		return true
	}
	if len(p) < 12 {
		return false
	}
	switch binary.BigEndian.Uint32(p[8:]) {
	case opCreate, opSetData:
		return true
	case opGetData:
		w.gets[binary.BigEndian.Uint32(p[4:])] = struct{}{} // at most maxPending
	}
	return false
}

func (w *wire) answersGet(xid uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.gets[xid]
	delete(w.gets, xid)
	return ok
}

// Read reads whole frames, and gives them out in pieces.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		frame, err := w.frame()
		if err != nil {
			if errors.Is(err, errNotZooKeeper) {
				w.session.fail(err)
			}
			return 0, err
		}
		w.rest = frame
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wire) frame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(w.Conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return nil, errNotZooKeeper
	}
	frame := make([]byte, 4+n)
	copy(frame, size[:])
	if _, err := io.ReadFull(w.Conn, frame[4:]); err != nil {
		return nil, err
	}
	sound := soundReply
	if !w.greeted {
		w.greeted = true
		sound = func(b []byte, _ func(uint32) bool) bool { return soundGreeting(b) }
	}
	if !sound(frame[4:], w.answersGet) {
		return nil, errNotZooKeeper
	}
	return frame, nil
}

// soundGreeting checks a connect response: version, timeout in ms, session,
// password, and since 3.4 a flag. Session 0 is a refusal.
func soundGreeting(b []byte) bool {
	if len(b) < 20 || len(b) > 256 {
		return false
	}
	timeout, session := int32(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint64(b[8:])
	password := int32(binary.BigEndian.Uint32(b[16:]))
	if password > int32(len(b)-20) {
		return false
	}
	return session == 0 || timeout >= 100 && timeout <= 3600_000
}

// soundReply checks a reply: xid, zxid, error, and the rest by what was asked.
// Only the data of a read has a length by which the library takes memory.
func soundReply(b []byte, answersGet func(xid uint32) bool) bool {
	if len(b) < 16 {
		return false
	}
	if !answersGet(binary.BigEndian.Uint32(b)) || binary.BigEndian.Uint32(b[12:]) != 0 {
		return true
	}
	return len(b) >= 20 && int32(binary.BigEndian.Uint32(b[16:])) <= int32(len(b)-20)
}
