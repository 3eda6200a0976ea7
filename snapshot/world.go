package snapshot

// World is what stood around a process, world.json: its sockets, those whom it
// talks to, and what limits it.
type World struct {
	Schema   int      `json:"schema"`
	PID      int      `json:"pid"`
	Findings []string `json:"findings,omitempty"` // sentences, strongest first

	Sockets  []Socket       `json:"sockets,omitempty"` // of the process, at most MaxSockets
	States   map[string]int `json:"states,omitempty"`  // how many of its TCP sockets are in which state
	Peers    []Peer         `json:"peers,omitempty"`   // at most MaxPeers
	Counters *Counters      `json:"counters,omitempty"`
	Since    string         `json:"since,omitempty"` // what the counters count from: "start" of the service, or "boot"
	Cgroup   *CgroupState   `json:"cgroup,omitempty"`
	Pressure []string       `json:"pressure,omitempty"` // lines of /proc/pressure, of the machine
	Missing  []string       `json:"missing,omitempty"`
}

// Bounds of a World.
const (
	MaxSockets = 4096
	MaxPeers   = 256
)

// Socket is one TCP socket, sock_diag(7).
type Socket struct {
	FD          int     `json:"fd"`
	Local       string  `json:"local"`
	Remote      string  `json:"remote,omitempty"`
	State       string  `json:"state"`         // "ESTABLISHED", "LISTEN", ...
	Received    uint32  `json:"receive_queue"` // bytes; of a listener, connections that wait to be accepted
	Sent        uint32  `json:"send_queue"`    // bytes; of a listener, how many may wait
	Retransmits int     `json:"retransmits"`   // of the segment at hand
	Unacked     uint32  `json:"unacked"`       // segments
	Retrans     uint32  `json:"total_retransmits"`
	RTT         Seconds `json:"rtt_seconds"`
	LastSent    Seconds `json:"last_sent_seconds"` // ago
	LastHeard   Seconds `json:"last_heard_seconds"`
	LastAck     Seconds `json:"last_ack_seconds"`
}

// Peer is an address that the process talks to, and the way there.
type Peer struct {
	Address string     `json:"address"`
	Device  string     `json:"device,omitempty"`
	Gateway string     `json:"gateway,omitempty"`
	Entry   *Neighbour `json:"neighbour,omitempty"` // of the next hop
}

// Neighbour is an entry of the neighbour table (ARP, NDP), rtnetlink(7).
type Neighbour struct {
	Address   string  `json:"address"`
	Link      string  `json:"link_address,omitempty"`
	State     string  `json:"state"`             // "REACHABLE", "STALE", "FAILED", ...
	Confirmed Seconds `json:"confirmed_seconds"` // ago
	Used      Seconds `json:"used_seconds"`
	Updated   Seconds `json:"updated_seconds"`
}

// Counters are those of a network namespace: /proc/PID/net/snmp and netstat.
type Counters struct {
	InSegs          uint64 `json:"in_segments"`
	RetransSegs     uint64 `json:"retransmitted_segments"`
	InErrs          uint64 `json:"bad_segments"`
	InCsumErrors    uint64 `json:"bad_checksums"`
	OutRsts         uint64 `json:"resets_sent"`
	EstabResets     uint64 `json:"connections_reset"`
	ListenOverflows uint64 `json:"listen_overflows"`
	ListenDrops     uint64 `json:"listen_drops"`
}

// CgroupState is how the limits of a cgroup v2 stand; 0: not known or no limit.
type CgroupState struct {
	Path       string   `json:"path"`
	Memory     int64    `json:"memory_bytes,omitempty"`
	MemoryMax  int64    `json:"memory_max_bytes,omitempty"`
	OOMKills   uint64   `json:"oom_kills,omitempty"`
	Periods    uint64   `json:"cpu_periods,omitempty"`
	Throttled  uint64   `json:"cpu_throttled,omitempty"`
	Processes  int64    `json:"pids,omitempty"`
	ProcessMax int64    `json:"pids_max,omitempty"`
	Pressure   []string `json:"pressure,omitempty"`
}
