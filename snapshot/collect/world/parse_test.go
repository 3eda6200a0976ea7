package world

import (
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestFindings(t *testing.T) {
	w := snapshot.World{Since: "start", States: map[string]int{"CLOSE-WAIT": 60},
		Sockets: []snapshot.Socket{
			{Remote: "10.0.0.2:27017", State: "SYN-SENT", Retransmits: 5},
			{Remote: "10.0.0.3:1", State: "ESTABLISHED", Retransmits: 3, Sent: 2100, LastAck: 12},
			{Remote: "10.0.0.4:1", State: "ESTABLISHED"},
			{Local: "0.0.0.0:80", State: "LISTEN", Received: 129, Sent: 128},
		},
		Peers:    []snapshot.Peer{{Address: "10.0.0.2", Device: "eth0", Entry: &snapshot.Neighbour{Link: "aa:bb", State: "STALE", Confirmed: 5.5}}, {Address: "10.0.0.3", Gateway: "10.0.0.1", Device: "eth0", Entry: &snapshot.Neighbour{State: "FAILED"}}},
		Counters: &snapshot.Counters{InCsumErrors: 212, ListenOverflows: 4},
		Cgroup:   &snapshot.CgroupState{Memory: 99, MemoryMax: 100, OOMKills: 1, Periods: 100, Throttled: 62, Processes: 10, ProcessMax: 10},
	}
	want := []string{
		"dependency 10.0.0.2:27017 unreachable: 6 SYNs unanswered; neighbour entry for it (aa:bb) not confirmed for 5.5s",
		"dependency 10.0.0.3:1 silent: 2100 bytes wait to be sent, retransmitted 3 times, nothing acknowledged for 12s; nobody answers for its gateway 10.0.0.1 on eth0 (neighbour entry FAILED)",
		"listener 0.0.0.0:80: 129 connections wait to be accepted, of 128 allowed: nobody accepts",
		"60 connections were closed by the other side and not by the service",
		"212 segments with bad checksums received since start",
		"4 connections were dropped since start because nobody accepted them in time",
		"the kernel killed 1 processes of its cgroup for memory",
	}
	got := Findings(w)
	for i, f := range want {
		if i >= len(got) || got[i] != f {
			t.Errorf("finding %d of %q, want %q", i, got, f)
			break
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(make([]byte, 72))
	f.Add(append(append(make([]byte, 72), 108, 0, 2, 0), make([]byte, 104)...))
	f.Add([]byte{2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 1})
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseDiag(b)
		_, _ = parseNeighbour(b)
		_ = pressure("cpu", string(b))
	})
}
