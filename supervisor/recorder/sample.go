package recorder

import (
	"encoding/binary"
	"time"
)

// bodySize is the size of a sample without its second.
const bodySize = 18

// Sample is what was seen of a service in one second. Numbers above 2047 (of the
// units given) are kept rounded down by less than 1/1024 of themselves.
type Sample struct {
	Second   uint32        // of CLOCK_BOOTTIME, in which it was taken
	CPU      time.Duration // user and system time used since the sample before; kept in microseconds
	Memory   uint64        // bytes; kept in KiB
	Threads  uint64
	Files    uint64        // open descriptors
	Beats    uint64        // taken since the sample before
	Silence  time.Duration // of the sign that is silent longest; kept in milliseconds
	Lines    uint64        // of output since the sample before
	Bytes    uint64        // of output since the sample before
	State    uint8         // 0 to 15, as the writer numbers states
	Probes   Probes
	Measured bool  // CPU, Memory, Threads and Files could be read
	Restarts uint8 // since the sample before; 15 stands for more too
	Signals  uint8 // sent by us or seen, since the sample before; 15 stands for more too
}

// Probes says how the service's probes stood, the worst of them.
type Probes uint8

// The states of probes.
const (
	NoProbes Probes = iota
	ProbesOK
	ProbesPending
	ProbesFailed
)

func (s Sample) encode(b *[bodySize]byte) {
	for i, n := range []uint64{
		micros(s.CPU), s.Memory >> 10, s.Threads, s.Files, s.Beats, millis(s.Silence), s.Lines, s.Bytes,
	} {
		binary.NativeEndian.PutUint16(b[2*i:], pack(n))
	}
	b[16] = s.State&15 | uint8(s.Probes&3)<<4
	if s.Measured {
		b[16] |= 1 << 6
	}
	b[17] = min(s.Restarts, 15) | min(s.Signals, 15)<<4
}

func decode(second uint32, b []byte) Sample {
	n := func(i int) uint64 { return unpack(binary.NativeEndian.Uint16(b[2*i:])) }
	return Sample{
		Second: second, CPU: time.Duration(n(0)) * time.Microsecond, Memory: n(1) << 10, Threads: n(2), Files: n(3),
		Beats: n(4), Silence: time.Duration(n(5)) * time.Millisecond, Lines: n(6), Bytes: n(7),
		State: b[16] & 15, Probes: Probes(b[16] >> 4 & 3), Measured: b[16]&(1<<6) != 0,
		Restarts: b[17] & 15, Signals: b[17] >> 4,
	}
}

func micros(d time.Duration) uint64 { return uint64(max(d, 0) / time.Microsecond) }

func millis(d time.Duration) uint64 { return uint64(max(d, 0) / time.Millisecond) }

// String is the word for it; "" for none.
func (p Probes) String() string { return [...]string{"", "ok", "pending", "failed"}[p&3] }
