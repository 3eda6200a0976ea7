package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Conn carries messages over one end of a socket pair. One goroutine may
// receive while others send.
type Conn struct {
	uc *net.UnixConn

	sending sync.Mutex // a frame is written whole
}

// NewConn takes over f, one end of a stream socket pair; f is closed.
func NewConn(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("cannot use protocol socket: %w", err)
	}
	uc, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("cannot use protocol socket: it is a %T, not a unix socket", c)
	}
	return &Conn{uc: uc}, nil
}

// Pair makes a connected pair: a Conn, and the descriptor of the other end for
// a child.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make protocol socket: %w", err)
	}
	far := os.NewFile(uintptr(fds[1]), "supervisor socket")
	c, err := NewConn(os.NewFile(uintptr(fds[0]), "keeper socket"))
	if err != nil {
		far.Close()
		return nil, nil, err
	}
	return c, far, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.uc.Close() }

// Send writes one frame. The descriptors in m.Files stay open here; their
// copies travel.
func (c *Conn) Send(m Message) error {
	if len(m.Body) > MaxBody || len(m.Files) > MaxFiles {
		return fmt.Errorf("cannot send %s: %d bytes and %d descriptors are over the limit", m.Type, len(m.Body), len(m.Files))
	}
	h := encodeHeader(m)
	frame := append(h[:], m.Body...)
	var oob []byte
	if len(m.Files) > 0 {
		oob = unix.UnixRights(m.Files...)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	n, _, err := c.uc.WriteMsgUnix(frame, oob, nil)
	if err == nil && n < len(frame) {
		// A stream socket may take a part; the descriptors went with it.
		_, err = c.uc.Write(frame[n:])
	}
	if err != nil {
		return fmt.Errorf("cannot send %s: %w", m.Type, err)
	}
	return nil
}

// Receive reads one frame. io.EOF means that the other side is gone. The
// descriptors in the message belong to the caller. An error that wraps
// ErrMalformed leaves the stream unusable.
func (c *Conn) Receive() (Message, error) {
	var hb [HeaderSize]byte
	files, err := c.readHeader(hb[:])
	if err != nil {
		closeAll(files)
		return Message{}, err
	}
	h, err := decodeHeader(hb[:])
	if err == nil && h.files != len(files) {
		err = fmt.Errorf("%w: %s announces %d descriptors and brings %d", ErrMalformed, h.typ, h.files, len(files))
	}
	if err != nil {
		closeAll(files)
		return Message{}, err
	}
	m := Message{Type: h.typ, ID: h.id, Epoch: h.epoch, Files: files}
	if h.length > 0 {
		m.Body = make([]byte, h.length)
		if _, err := io.ReadFull(c.uc, m.Body); err != nil {
			closeAll(files)
			return Message{}, fmt.Errorf("cannot receive %s: %w", h.typ, cut(err))
		}
	}
	return m, nil
}

// cut names an end within a frame for what it is: io.EOF is the one between
// frames.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readHeader fills b and collects the descriptors that come with it.
func (c *Conn) readHeader(b []byte) ([]int, error) {
	var files []int
	oob := make([]byte, unix.CmsgSpace(MaxFiles*4))
	for got := 0; got < len(b); {
		n, oobn, flags, _, err := c.uc.ReadMsgUnix(b[got:], oob)
		fds, perr := parseRights(oob[:oobn])
		files = append(files, fds...)
		switch {
		case err != nil:
			if got == 0 && errors.Is(err, io.EOF) {
				return files, io.EOF
			}
			return files, fmt.Errorf("cannot receive frame: %w", cut(err))
		case perr != nil:
			return files, perr
		case flags&unix.MSG_CTRUNC != 0:
			return files, fmt.Errorf("%w: more descriptors than the limit of %d", ErrMalformed, MaxFiles)
		}
		got += n
	}
	return files, nil
}

func parseRights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: control message: %v", ErrMalformed, err)
	}
	var files []int
	for _, m := range msgs {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // credentials and the like: not asked for, not used
		}
		files = append(files, fds...)
	}
	return files, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// CloseFiles closes the descriptors of a message that nobody wants.
func (m Message) CloseFiles() { closeAll(m.Files) }
