package zookeeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// How long the server may take.
const (
	mostServe   = 60 * time.Second // from its start to the first good write
	mostSession = 5 * time.Second  // one attempt
)

// errRefused says that no question got into the server.
var errRefused = errors.New("the server takes no requests")

// session opens a session and hands it to do. The client would try for ever, so
// all of it has one limit; what hangs is left to Close.
func (s *server) session(most time.Duration, do func(*zk.Conn) error) error {
	// A client that comes too early is not answered, and tries again a second later.
	if _, err := s.mode(); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	conn, events, err := zk.Connect([]string{s.address}, mostSession, zk.WithLogger(log.New(io.Discard, "", 0)))
	if err != nil {
		return err
	}
	defer func() { go conn.Close() }() // it waits for the server too
	end := time.NewTimer(most)
	defer end.Stop()
	for {
		select {
		case e := <-events:
			if e.State != zk.StateHasSession {
				continue
			}
		case <-end.C:
			return errors.New("no session")
		}
		break
	}
	done := make(chan error, 1)
	go func() { done <- do(conn) }()
	select {
	case err := <-done:
		return err
	case <-end.C:
		return errors.New("no reply")
	}
}

// mode asks for the server's report, the one command of four letters that every
// server allows. It names a mode once requests are taken.
func (s *server) mode() (string, error) {
	conn, err := net.DialTimeout("tcp", s.address, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return "", err
	}
	report, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(report)) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", fmt.Errorf("srvr says %q", report)
}

// write makes a node.
func (s *server) write(path string, data []byte) error {
	return s.session(mostSession, func(c *zk.Conn) error {
		_, err := c.Create(path, data, 0, zk.WorldACL(zk.PermAll))
		return err
	})
}

// serves waits for the first good write, to a node that may exist.
func (s *server) serves(t *testing.T, path string) {
	t.Helper()
	eventually(t, mostServe, "a good write", func() error {
		if err := s.write(path, []byte("x")); !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
		return nil
	})
}

// has says that a node is there.
func (s *server) has(t *testing.T, path string) {
	t.Helper()
	err := s.session(mostSession, func(c *zk.Conn) error {
		ok, _, err := c.Exists(path)
		if err == nil && !ok {
			err = fmt.Errorf("node %s is lost", path)
		}
		return err
	})
	if err != nil {
		t.Errorf("cannot find what was written before: %v", err)
	}
}

// giantLength is the length of the poison packet's string: 0x6edd0b51.
const giantLength = 1859980113

// poison sends a request to create a node whose ACL declares a scheme of that
// many bytes, and none of them. The server's PrepRequestProcessor asks for the
// memory. It waits so long for the server to end the connection.
func (s *server) poison(most time.Duration) error {
	conn, err := net.DialTimeout("tcp", s.address, mostSession)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	var hello []byte
	hello = binary.BigEndian.AppendUint32(hello, 0)     // version of the protocol
	hello = binary.BigEndian.AppendUint64(hello, 0)     // last zxid seen
	hello = binary.BigEndian.AppendUint32(hello, 10000) // session timeout, ms
	hello = binary.BigEndian.AppendUint64(hello, 0)     // session: a new one
	hello = appendBytes(hello, make([]byte, 16))        // password
	if err := sendFrame(conn, hello); err != nil {
		return err
	}
	if err := skipFrame(conn); err != nil {
		return err
	}
	var create []byte
	create = binary.BigEndian.AppendUint32(create, 1) // xid
	create = binary.BigEndian.AppendUint32(create, 1) // create
	create = appendBytes(create, []byte("/poison"))
	create = appendBytes(create, []byte("x"))
	create = binary.BigEndian.AppendUint32(create, 1)    // one ACL
	create = binary.BigEndian.AppendUint32(create, 0x1f) // all permissions
	create = binary.BigEndian.AppendUint32(create, giantLength)
	if err := sendFrame(conn, create); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn) // until the server is gone
	if errors.Is(err, net.ErrClosed) || err == nil {
		return nil
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("the server lives on: %w", err)
	}
	return nil // a reset is an end too
}

func appendBytes(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(b))), b...)
}

func sendFrame(w io.Writer, frame []byte) error {
	_, err := w.Write(appendBytes(nil, frame))
	return err
}

func skipFrame(r io.Reader) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(size[:])))
	return err
}
