package world

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// entry is a neighbour on a device.
type entry struct {
	snapshot.Neighbour
	device int
	addr   netip.Addr
}

// ndmsg is struct ndmsg, linux/neighbour.h.
type ndmsg [12]byte

func (m *ndmsg) Len() int          { return len(m) }
func (m *ndmsg) Serialize() []byte { return m[:] }

// neighbours lists the neighbour table of the namespace of this thread.
func neighbours() ([]entry, error) {
	r := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
	r.AddData(&ndmsg{})
	list, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	if err != nil {
		return nil, fmt.Errorf("cannot list neighbours: %w", err)
	}
	var all []entry
	for _, m := range list {
		if e, ok := parseNeighbour(m); ok {
			all = append(all, e)
		}
	}
	return all, nil
}

// Attributes of a neighbour, linux/neighbour.h.
const (
	ndaDst       = 1
	ndaLLAddr    = 2
	ndaCacheInfo = 3
)

// userHZ is the unit of the ages.
const userHZ = 100

func parseNeighbour(b []byte) (e entry, ok bool) {
	if len(b) < 12 {
		return e, false
	}
	e.device = int(int32(binary.NativeEndian.Uint32(b[4:])))
	e.State = neighbourState(binary.NativeEndian.Uint16(b[8:]))
	attributes(b[12:], func(kind uint16, v []byte) {
		switch {
		case kind == ndaDst:
			if a, good := netip.AddrFromSlice(v); good {
				e.addr = a.Unmap()
				e.Address = e.addr.String()
			}
		case kind == ndaLLAddr && len(v) <= 32:
			e.Link = net.HardwareAddr(v).String()
		case kind == ndaCacheInfo && len(v) >= 12:
			age := func(at int) snapshot.Seconds {
				return snapshot.SecondsOf(time.Duration(binary.NativeEndian.Uint32(v[at:])) * time.Second / userHZ)
			}
			e.Confirmed, e.Used, e.Updated = age(0), age(4), age(8)
		}
	})
	return e, e.Address != ""
}

// neighbourState names NUD_ states.
func neighbourState(state uint16) string {
	for _, s := range []struct {
		bit  uint16
		name string
	}{{0x01, "INCOMPLETE"}, {0x02, "REACHABLE"}, {0x04, "STALE"}, {0x08, "DELAY"}, {0x10, "PROBE"}, {0x20, "FAILED"}, {0x40, "NOARP"}, {0x80, "PERMANENT"}} {
		if state&s.bit != 0 {
			return s.name
		}
	}
	return "NONE"
}

// peers finds the way to each address.
func peers(addresses []netip.Addr, table []entry) (list []snapshot.Peer) {
	for _, a := range addresses[:min(len(addresses), snapshot.MaxPeers)] {
		p := snapshot.Peer{Address: a.String()}
		hop, device := a, 0
		if routes, err := netlink.RouteGet(a.AsSlice()); err == nil && len(routes) > 0 {
			device = routes[0].LinkIndex
			if g, ok := netip.AddrFromSlice(routes[0].Gw); ok {
				hop = g.Unmap()
				p.Gateway = hop.String()
			}
			if link, err := netlink.LinkByIndex(device); err == nil {
				p.Device = link.Attrs().Name
			}
		}
		for _, e := range table {
			if e.addr == hop && (device == 0 || e.device == device) {
				n := e.Neighbour
				p.Entry = &n
			}
		}
		list = append(list, p)
	}
	return list
}
