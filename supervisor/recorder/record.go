package recorder

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// recordSize is the length of one record, in bytes. All numbers are in the order
// of the machine's bytes: the ring does not leave it.
const recordSize = 20

// Sample is one second of a service.
type Sample struct {
	At      time.Duration // CLOCK_BOOTTIME, to 0.1 s
	CPU     float64       // cores, to 0.001, 65.5 at most
	RSS     int64         // bytes, to 0.1 %
	Threads int           // 65535 at most
	FDs     int           // 65535 at most; 0: not known
	Beats   int           // 255 at most
	Lines   int           // of output, to 0.1 %
	Failed  int           // probes, 15 at most
	Good    int           // probes, 15 at most
	State   uint8         // of lifecycle.State
	Silence time.Duration // to 0.1 s, 6553.5 s at most
}

// encode writes the sample; what is too large becomes the largest.
func (s Sample) encode(b []byte) {
	_ = b[recordSize-1]
	binary.NativeEndian.PutUint32(b[0:], uint32(most(int64(s.At/(100*time.Millisecond)), 1<<32-1)))
	binary.NativeEndian.PutUint16(b[4:], uint16(most(int64(s.CPU*1000+0.5), 1<<16-1)))
	binary.NativeEndian.PutUint16(b[6:], pack(uint64(max(s.RSS, 0))>>10))
	binary.NativeEndian.PutUint16(b[8:], uint16(most(int64(s.Threads), 1<<16-1)))
	binary.NativeEndian.PutUint16(b[10:], uint16(most(int64(s.FDs), 1<<16-1)))
	binary.NativeEndian.PutUint16(b[12:], pack(uint64(max(s.Lines, 0))))
	binary.NativeEndian.PutUint16(b[14:], uint16(most(int64(s.Silence/(100*time.Millisecond)), 1<<16-1)))
	b[16] = byte(most(int64(s.Beats), 255))
	b[17] = byte(most(int64(s.Failed), 15)<<4 | most(int64(s.Good), 15))
	b[18], b[19] = s.State, 0
}

func decode(b []byte) Sample {
	_ = b[recordSize-1]
	return Sample{
		At:      time.Duration(binary.NativeEndian.Uint32(b[0:])) * 100 * time.Millisecond,
		CPU:     float64(binary.NativeEndian.Uint16(b[4:])) / 1000,
		RSS:     int64(unpack(binary.NativeEndian.Uint16(b[6:]))) << 10,
		Threads: int(binary.NativeEndian.Uint16(b[8:])),
		FDs:     int(binary.NativeEndian.Uint16(b[10:])),
		Lines:   int(unpack(binary.NativeEndian.Uint16(b[12:]))),
		Silence: time.Duration(binary.NativeEndian.Uint16(b[14:])) * 100 * time.Millisecond,
		Beats:   int(b[16]), Failed: int(b[17] >> 4), Good: int(b[17] & 15), State: b[18],
	}
}

func most(v, limit int64) int64 { return min(max(v, 0), limit) }

// pack makes 16 bits of a number of up to 2^42: 5 of them an exponent, 11 a
// mantissa whose leading one is not written. The error is below 0.05 %.
func pack(v uint64) uint16 {
	if v < 1<<11 {
		return uint16(v)
	}
	shift := bits.Len64(v) - 12
	if shift > 30 {
		return 1<<16 - 1
	}
	v >>= shift // 12 bits, of which the first is one
	return uint16(shift+1)<<11 | uint16(v&(1<<11-1))
}

func unpack(p uint16) uint64 {
	e, m := uint64(p>>11), uint64(p&(1<<11-1))
	if e == 0 {
		return m
	}
	return (1<<11 | m) << (e - 1)
}
