package world

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Findings draws sentences from what was seen. It is pure.
func Findings(w snapshot.World) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	peers := map[string]snapshot.Peer{}
	for _, p := range w.Peers {
		peers[p.Address] = p
	}
	for _, s := range w.Sockets {
		entry := neighbourOf(peers, s.Remote)
		switch {
		case len(list) > maxFindings:
		case s.State == "SYN-SENT" && s.Retransmits > 0:
			say("dependency %s unreachable: %d SYNs unanswered%s", s.Remote, s.Retransmits+1, entry)
		case s.State == "ESTABLISHED" && s.Retransmits > 0:
			say("dependency %s silent: %d bytes wait to be sent, retransmitted %d times, nothing acknowledged for %s%s", s.Remote, s.Sent, s.Retransmits, ago(s.LastAck), entry)
		case s.State == "LISTEN" && s.Sent > 0 && s.Received > s.Sent:
			say("listener %s: %d connections wait to be accepted, of %d allowed: nobody accepts", s.Local, s.Received, s.Sent)
		}
	}
	if n := w.States["CLOSE-WAIT"]; n >= manyHalfClosed {
		say("%d connections were closed by the other side and not by the service", n)
	}
	if c := w.Counters; c != nil {
		since := "since " + w.Since
		if c.InCsumErrors > 0 {
			say("%d segments with bad checksums received %s", c.InCsumErrors, since)
		}
		if c.ListenOverflows > 0 {
			say("%d connections were dropped %s because nobody accepted them in time", c.ListenOverflows, since)
		}
	}
	if g := w.Cgroup; g != nil {
		if g.OOMKills > 0 {
			say("the kernel killed %d processes of its cgroup for memory", g.OOMKills)
		}
		if g.MemoryMax > 0 && g.Memory > g.MemoryMax/100*95 {
			say("memory of its cgroup at %d of %d bytes", g.Memory, g.MemoryMax)
		}
		if g.Periods > 0 && g.Throttled*5 > g.Periods {
			say("its cgroup was throttled in %d of %d periods", g.Throttled, g.Periods)
		}
		if g.ProcessMax > 0 && g.Processes >= g.ProcessMax {
			say("its cgroup has %d processes and threads, of %d allowed", g.Processes, g.ProcessMax)
		}
	}
	return list
}

// Bounds of what is worth a sentence.
const (
	maxFindings    = 16
	manyHalfClosed = 50
)

// neighbourOf words the entry of the next hop to an address, when it is in doubt.
func neighbourOf(peers map[string]snapshot.Peer, remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	p, ok := peers[a.Addr().String()]
	if !ok {
		return ""
	}
	if p.Entry == nil {
		return ""
	}
	who := "it"
	if p.Gateway != "" {
		who = "its gateway " + p.Gateway
	}
	e := p.Entry
	switch e.State {
	case "FAILED", "INCOMPLETE":
		return fmt.Sprintf("; nobody answers for %s on %s (neighbour entry %s)", who, p.Device, e.State)
	case "PERMANENT", "NOARP":
		return fmt.Sprintf("; the neighbour entry for %s (%s) is fixed by hand", who, e.Link)
	}
	return fmt.Sprintf("; neighbour entry for %s (%s) not confirmed for %s", who, e.Link, ago(e.Confirmed))
}

func ago(s snapshot.Seconds) string {
	return s.Duration().Round(100 * time.Millisecond).String()
}
