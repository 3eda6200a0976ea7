package manager

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what waits for a service manager that does not read.
const (
	maxQueue       = 256
	maxQueuedFiles = 1024
	// systemd ignores datagrams longer than a page (NOTIFY_BUFFER_MAX, PIPE_BUF).
	maxDatagram = 4096
	// scmMaxFD of the kernel: descriptors in one message, unix(7).
	scmMaxFD = 253
)

// Why a message was not taken.
var (
	ErrFull    = errors.New("manager: the service manager does not read, and the queue is full")
	ErrClosed  = errors.New("manager: the link is closed")
	ErrTooLong = errors.New("manager: longer than the service manager reads")
)

// link is the socket and the queue in front of it.
type link struct {
	conn *net.UnixConn
	raw  syscall.RawConn
	addr unix.SockaddrUnix

	mu     sync.Mutex
	queue  []message // not empty only while drain runs
	files  int       // descriptors in the queue
	closed bool
	lost   uint64
	why    error // of the last loss

	stop     chan struct{}
	draining sync.WaitGroup
}

// message is one datagram.
type message struct {
	text  string
	files []int // in the queue: duplicates that the queue owns
	kind  string
	// kind, if not empty: a later message of the same kind makes this one
	// worthless, so that at most one of them waits.
}

func dial(addr *net.UnixAddr) (*link, error) {
	// Connected, because only then poll(2) says when the receiver has room.
	conn, err := net.DialUnix("unixgram", nil, addr)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &link{conn: conn, raw: raw, addr: unix.SockaddrUnix{Name: addr.Name}, stop: make(chan struct{})}, nil
}

// send hands a message to the kernel at once if that is possible, so that it
// arrives even if this process is killed right after. Otherwise it is queued
// behind those that wait already, with duplicates of its descriptors.
func (l *link) send(m message) error {
	if len(m.text) > maxDatagram {
		return fmt.Errorf("cannot tell the service manager %d bytes: %w", len(m.text), ErrTooLong)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("cannot tell the service manager: %w", ErrClosed)
	}
	if len(l.queue) == 0 {
		err := l.try(m)
		if err == nil {
			return nil
		}
		if !passing(err) {
			return fmt.Errorf("cannot tell the service manager: %w", err)
		}
	}
	return l.enqueue(m)
}

// try sends without waiting.
func (l *link) try(m message) (err error) {
	if e := l.raw.Control(func(fd uintptr) { err = l.sendmsg(int(fd), m) }); e != nil {
		return e
	}
	return err
}

func (l *link) sendmsg(fd int, m message) error {
	var rights []byte
	if len(m.files) > 0 {
		rights = unix.UnixRights(m.files...)
	}
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	err := unix.Sendmsg(fd, []byte(m.text), rights, nil, flags)
	if err == unix.ECONNREFUSED || err == unix.ENOTCONN {
		// The service manager has made its socket anew.
		if err = unix.Connect(fd, &l.addr); err == nil {
			err = unix.Sendmsg(fd, []byte(m.text), rights, nil, flags)
		}
	}
	return err
}

// passing says whether it is worth to try again: no room in the receiver's
// queue, no memory, or too many descriptors in flight (unix(7)).
func passing(err error) bool {
	return err == unix.EAGAIN || err == unix.EINTR || congested(err)
}

// congested is that part of passing whose end poll(2) does not tell.
func congested(err error) bool {
	return err == unix.ENOBUFS || err == unix.ENOMEM || err == unix.ETOOMANYREFS
}

func (l *link) enqueue(m message) error {
	if l.supersede(m) {
		return nil
	}
	if len(l.queue) >= maxQueue || l.files+len(m.files) > maxQueuedFiles {
		return fmt.Errorf("cannot tell the service manager: %w", ErrFull)
	}
	own := make([]int, 0, len(m.files))
	for _, fd := range m.files {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			closeAll(own)
			return fmt.Errorf("cannot queue descriptor %d for the service manager: %w", fd, err)
		}
		own = append(own, dup)
	}
	m.files = own
	l.files += len(own)
	l.queue = append(l.queue, m)
	if len(l.queue) == 1 {
		l.draining.Go(l.drain)
	}
	return nil
}

// supersede replaces a waiting message of the same kind. The first in the queue
// is being sent.
func (l *link) supersede(m message) bool {
	for i := 1; m.kind != "" && i < len(l.queue); i++ {
		if l.queue[i].kind == m.kind {
			l.queue[i].text = m.text
			return true
		}
	}
	return false
}

// drain sends the queue in its order, as the receiver finds room, and ends with
// it.
func (l *link) drain() {
	for {
		l.mu.Lock()
		if l.closed || len(l.queue) == 0 {
			l.mu.Unlock()
			return
		}
		m := l.queue[0]
		l.mu.Unlock()
		if err := l.wait(m); !l.sent(err) {
			return
		}
	}
}

// wait sends one message when it is possible.
func (l *link) wait(m message) error {
	for {
		var err error
		if e := l.raw.Write(func(fd uintptr) bool {
			err = l.sendmsg(int(fd), m)
			return err != unix.EAGAIN
		}); e != nil {
			return e
		}
		if err == unix.EINTR {
			continue
		}
		if !congested(err) {
			return err
		}
		// There is no event for the end of this; see passing.
		select {
		case <-time.After(20 * time.Millisecond):
		case <-l.stop:
			return ErrClosed
		}
	}
}

// sent takes the first message out of the queue and says whether there are more.
func (l *link) sent(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // close has dropped the queue
		return false
	}
	if err != nil {
		l.lost, l.why = l.lost+1, err
	}
	l.files -= len(l.queue[0].files)
	closeAll(l.queue[0].files)
	l.queue = l.queue[1:]
	return len(l.queue) > 0
}

func (l *link) losses() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost, l.why
}

// close ends drain before the queue's descriptors are closed: it may be sending
// one of them.
func (l *link) close() {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if already {
		return
	}
	close(l.stop)
	l.conn.Close()
	l.draining.Wait()
	for _, m := range l.queue {
		closeAll(m.files)
	}
	l.queue = nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
