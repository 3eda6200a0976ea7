package world

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// diagRequest is struct inet_diag_req_v2, linux/inet_diag.h.
type diagRequest [56]byte

func (r *diagRequest) Len() int          { return len(r) }
func (r *diagRequest) Serialize() []byte { return r[:] }

// tcpStates names them, include/net/tcp_states.h.
var tcpStates = [...]string{1: "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "NEW-SYN-RECEIVED"}

// diag is one socket as sock_diag(7) tells of it.
type diag struct {
	snapshot.Socket
	inode  uint32
	remote netip.Addr
}

// sockets lists the TCP sockets of the network namespace of this thread.
func sockets() ([]diag, error) {
	var all []diag
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		r := nl.NewNetlinkRequest(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		var body diagRequest
		body[0], body[1], body[2] = family, unix.IPPROTO_TCP, 1<<(diagInfo-1)
		binary.NativeEndian.PutUint32(body[4:], ^uint32(0)) // all states
		r.AddData(&body)
		list, err := r.Execute(unix.NETLINK_INET_DIAG, 0)
		if err != nil {
			return all, fmt.Errorf("cannot list sockets: %w", err)
		}
		for _, m := range list {
			if d, err := parseDiag(m); err == nil {
				all = append(all, d)
			}
		}
	}
	return all, nil
}

// diagInfo is INET_DIAG_INFO, whose value is struct tcp_info.
const diagInfo = 2

var errShort = errors.New("cannot parse a message of sock_diag: it is too short")

// parseDiag reads a struct inet_diag_msg and its attributes.
func parseDiag(b []byte) (d diag, err error) {
	if len(b) < 72 {
		return d, errShort
	}
	family, state := b[0], int(b[1])
	if state > 0 && state < len(tcpStates) {
		d.State = tcpStates[state]
	}
	d.Retransmits = int(b[3])
	var local netip.Addr
	switch family {
	case unix.AF_INET:
		local, d.remote = netip.AddrFrom4([4]byte(b[8:12])), netip.AddrFrom4([4]byte(b[24:28]))
	case unix.AF_INET6:
		local, d.remote = netip.AddrFrom16([16]byte(b[8:24])).Unmap(), netip.AddrFrom16([16]byte(b[24:40])).Unmap()
	default:
		return d, fmt.Errorf("cannot parse a message of sock_diag: family %d", family)
	}
	d.Local = netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[4:])).String()
	if port := binary.BigEndian.Uint16(b[6:]); port != 0 {
		d.Remote = netip.AddrPortFrom(d.remote, port).String()
	}
	d.Received, d.Sent = binary.NativeEndian.Uint32(b[56:]), binary.NativeEndian.Uint32(b[60:])
	d.inode = binary.NativeEndian.Uint32(b[68:])
	attributes(b[72:], func(kind uint16, value []byte) {
		if kind == diagInfo && len(value) >= 104 {
			u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(value[at:]) }
			ms := func(at int) snapshot.Seconds { return snapshot.SecondsOf(time.Duration(u32(at)) * time.Millisecond) }
			d.Retransmits = max(d.Retransmits, int(value[2]))
			d.Unacked, d.Retrans = u32(24), u32(100)
			d.LastSent, d.LastHeard, d.LastAck = ms(44), ms(52), ms(56)
			d.RTT = snapshot.SecondsOf(time.Duration(u32(68)) * time.Microsecond)
		}
	})
	return d, nil
}

// attributes walks over netlink attributes, netlink(7).
func attributes(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}
