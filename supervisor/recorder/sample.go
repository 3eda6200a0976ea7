package recorder

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vigil-supervisor/vigil/internal/psi"
)

// bodySize is the size of a sample without its second.
const bodySize = 18

// Sample is what was seen of a service in one second. It is kept rounded down:
// CPU, Memory, Threads and Files above 2047 (of the units given) by less than
// 1/1024 of themselves; Beats, Silence, Lines and Bytes above 15 units by less
// than 1/16.
type Sample struct {
	Second   uint32        // of CLOCK_BOOTTIME, in which it was taken
	CPU      time.Duration // user and system time used since the measurement before; kept in microseconds
	Memory   uint64        // bytes; kept in KiB
	Threads  uint64
	Files    uint64        // open descriptors
	Beats    uint64        // datagrams taken since the sample before
	Silence  time.Duration // of the sign that is silent longest; kept in units of 10 ms
	Lines    uint64        // of output since the sample before
	Bytes    uint64        // of output since the sample before; kept in units of 64, rounded up
	Seen     uint8         // bit i: sign i of the slot was seen since the sample before
	Late     uint8         // bit i: sign i is judged late
	Pressure Pressure
	State    uint8 // 0 to 15, as the writer numbers states
	Probes   Probes
	Measured bool  // CPU, Memory, Threads and Files could be read
	Restarts uint8 // since the sample before; 15 stands for more too
	Signals  uint8 // sent by us or seen, since the sample before; 15 stands for more too
}

// Pressure is that since the measurement before. It is kept in 32 steps that are
// finer for small shares: 0, 0.1 %, 0.4 %, 0.9 % ... 100 %.
type Pressure = psi.Pressure

// Probes says how the service's probes stood, the worst of them.
type Probes uint8

// The states of probes.
const (
	NoProbes Probes = iota
	ProbesOK
	ProbesPending
	ProbesFailed
)

// Units in which some are kept.
const (
	silenceUnit = 10 * time.Millisecond
	bytesUnit   = 64
)

func (s Sample) encode(b *[bodySize]byte) {
	for i, n := range []uint64{micros(s.CPU), s.Memory >> 10, s.Threads, s.Files} {
		binary.NativeEndian.PutUint16(b[2*i:], uint16(long.pack(n)))
	}
	for i, n := range []uint64{s.Beats, uint64(max(s.Silence, 0) / silenceUnit), s.Lines, (s.Bytes + bytesUnit - 1) / bytesUnit} {
		b[8+i] = uint8(short.pack(n))
	}
	b[12], b[13] = s.Seen, s.Late
	binary.NativeEndian.PutUint16(b[14:], packPressure(s.Pressure))
	b[16] = s.State&15 | uint8(s.Probes&3)<<4
	if s.Measured {
		b[16] |= 1 << 6
	}
	b[17] = min(s.Restarts, 15) | min(s.Signals, 15)<<4
}

func decode(second uint32, b []byte) Sample {
	n := func(i int) uint64 { return long.unpack(uint64(binary.NativeEndian.Uint16(b[2*i:]))) }
	few := func(i int) uint64 { return short.unpack(uint64(b[8+i])) }
	return Sample{
		Second: second, CPU: time.Duration(n(0)) * time.Microsecond, Memory: n(1) << 10, Threads: n(2), Files: n(3),
		Beats: few(0), Silence: time.Duration(few(1)) * silenceUnit, Lines: few(2), Bytes: few(3) * bytesUnit,
		Seen: b[12], Late: b[13], Pressure: unpackPressure(binary.NativeEndian.Uint16(b[14:])),
		State: b[16] & 15, Probes: Probes(b[16] >> 4 & 3), Measured: b[16]&(1<<6) != 0,
		Restarts: b[17] & 15, Signals: b[17] >> 4,
	}
}

func micros(d time.Duration) uint64 { return uint64(max(d, 0) / time.Microsecond) }

// The steps of a pressure.
const (
	shareBits = 5
	shareMax  = 1<<shareBits - 1
)

func packPressure(p Pressure) uint16 {
	if !p.Known {
		return 0
	}
	return 1<<15 | packShare(p.CPU) | packShare(p.Memory)<<shareBits | packShare(p.IO)<<(2*shareBits)
}

func unpackPressure(n uint16) Pressure {
	if n&(1<<15) == 0 {
		return Pressure{}
	}
	return Pressure{Known: true, CPU: unpackShare(n), Memory: unpackShare(n >> shareBits), IO: unpackShare(n >> (2 * shareBits))}
}

func packShare(f float64) uint16 {
	if !(f > 0) {
		return 0
	}
	return uint16(math.Round(math.Sqrt(min(f, 1)) * shareMax))
}

func unpackShare(n uint16) float64 {
	root := float64(n&shareMax) / shareMax
	return root * root
}

// String is the word for it; "" for none.
func (p Probes) String() string { return [...]string{"", "ok", "pending", "failed"}[p&3] }
