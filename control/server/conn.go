package server

import (
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxConns is how many connections are served at a time. More are closed.
const maxConns = 256

// bounded gives out connections that know their peer, and at most maxConns.
type bounded struct {
	net.Listener
	open atomic.Int64
}

// conn is a connection with the user at its other end.
type conn struct {
	net.Conn
	uid     int
	err     error // why uid is not known
	release func()
	closed  atomic.Bool
}

func (l *bounded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) > maxConns {
			l.open.Add(-1)
			_ = c.Close()
			continue
		}
		uid, err := peer(c)
		return &conn{Conn: c, uid: uid, err: err, release: func() { l.open.Add(-1) }}, nil
	}
}

// Close may be called more than once.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.release()
	}
	return c.Conn.Close()
}

// peer returns the effective user of the process that connected, as it was at
// connect(2): SO_PEERCRED, unix(7).
func peer(c net.Conn) (uid int, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return -1, unix.ENOTSOCK
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return -1, err
	}
	if credErr != nil {
		return -1, credErr
	}
	return int(cred.Uid), nil
}
