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
	pid     int // 0: in another pid namespace
	uid     int
	err     error // why they are not known
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
		pid, uid, err := peer(c)
		return &conn{Conn: c, pid: pid, uid: uid, err: err, release: func() { l.open.Add(-1) }}, nil
	}
}

// Close may be called more than once.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.release()
	}
	return c.Conn.Close()
}

// peer returns the process that connected and its effective user, as they were
// at connect(2): SO_PEERCRED, unix(7).
func peer(c net.Conn) (pid, uid int, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, -1, unix.ENOTSOCK
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, -1, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, -1, err
	}
	if credErr != nil {
		return 0, -1, credErr
	}
	return int(cred.Pid), int(cred.Uid), nil
}
