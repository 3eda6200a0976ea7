package watchdog

import (
	"encoding/binary"
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// controlSize holds what one datagram can carry beside its bytes: 253
// descriptors (SCM_MAX_FD), the credentials and a pidfd.
const controlSize = 2 << 10

// Buffers lends receive buffers to any number of receivers, so that a
// thousand idle ones hold none. The zero value is ready to use.
type Buffers struct{ pool sync.Pool }

type buffer struct {
	// One byte more than is allowed: a larger datagram is then seen to be
	// larger, and MSG_TRUNC says so of still larger ones.
	data    [wire.MaxDatagram + 1]byte
	control [controlSize]byte
}

func (b *Buffers) get() *buffer {
	if v, ok := b.pool.Get().(*buffer); ok {
		return v
	}
	return new(buffer)
}

func (b *Buffers) put(v *buffer) { b.pool.Put(v) }

// datagram is one received message with the identity of its sender.
type datagram struct {
	data      []byte // within the buffer
	pid       int    // 0: no credentials, or a pid namespace that we cannot see
	uid, gid  uint32
	pidfd     int   // -1: none
	rights    []int // passed descriptors, ours to close
	truncated bool  // larger than the buffer
	lost      bool  // control data did not fit: descriptors were discarded by the kernel
}

// receive takes one datagram off the socket. EAGAIN means that there is none.
//
// With peek it stays in the socket, until drop.
func receive(fd int, b *buffer, peek bool) (datagram, error) {
	how := unix.MSG_CMSG_CLOEXEC | unix.MSG_DONTWAIT
	if peek {
		how |= unix.MSG_PEEK
	}
	for {
		n, cn, flags, _, err := unix.Recvmsg(fd, b.data[:], b.control[:], how)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return datagram{}, err
		}
		d := datagram{data: b.data[:n], pidfd: -1, truncated: flags&unix.MSG_TRUNC != 0, lost: flags&unix.MSG_CTRUNC != 0}
		d.parseControl(b.control[:cn])
		return d, nil
	}
}

// drop takes the next datagram out of the socket. Without a buffer for control
// messages the kernel installs none of the descriptors that came with it.
func drop(fd int) error {
	var b [1]byte
	for {
		_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// parseControl takes over credentials, pidfd and descriptors. Every
// descriptor that the kernel installed ends up in d, whatever else is odd.
func (d *datagram) parseControl(b []byte) {
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		// The kernel wrote it, so this does not happen.
		d.lost = true
		return
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Level != unix.SOL_SOCKET {
			continue
		}
		switch m.Header.Type {
		case unix.SCM_CREDENTIALS:
			if c, err := unix.ParseUnixCredentials(m); err == nil {
				d.pid, d.uid, d.gid = int(c.Pid), c.Uid, c.Gid
			}
		case unix.SCM_RIGHTS:
			for b := m.Data; len(b) >= 4; b = b[4:] {
				d.rights = append(d.rights, parseInt(b))
			}
		case unix.SCM_PIDFD:
			d.pidfd = parsePidfd(m.Data)
		}
	}
}

// parsePidfd reads the int of SCM_PIDFD. The kernel puts a negative errno
// there when it could not make a descriptor, for example for a sender that is
// gone (before Linux 6.16).
func parsePidfd(b []byte) int {
	if len(b) < 4 {
		return -1
	}
	return max(-1, parseInt(b))
}

// parseInt reads a C int of at least 4 bytes.
func parseInt(b []byte) int { return int(int32(binary.NativeEndian.Uint32(b))) }

// closeRights closes the passed descriptors and returns how many there were.
func (d *datagram) closeRights() int {
	n := len(d.rights)
	for _, fd := range d.rights {
		_ = unix.Close(fd)
	}
	d.rights = nil
	return n
}

func (d *datagram) closePidfd() {
	if d.pidfd >= 0 {
		_ = unix.Close(d.pidfd)
		d.pidfd = -1
	}
}
