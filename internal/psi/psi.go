// Package psi reads pressure stall information: how much of the time tasks of a
// cgroup, or of the machine, stood still for want of a resource
// (Documentation/accounting/psi.rst; Linux 4.20, of cgroups since v2 only).
package psi

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// Kinds of a line: some task stood still, or all that were not idle did.
const (
	Some = "some"
	Full = "full"
)

// Stall is one line of a pressure file.
type Stall struct {
	Total time.Duration // since the machine or the cgroup began
	Avg10 float64       // share of the last ten seconds, from 0 to 1
}

// Parse reads the line of one kind:
//
//	some avg10=0.22 avg60=0.10 avg300=0.00 total=4235
//
// The averages are per cent, the total is microseconds.
func Parse(text []byte, kind string) (s Stall, ok bool) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) != 5 || string(fields[0]) != kind {
			continue
		}
		avg, ok1 := bytes.CutPrefix(fields[1], []byte("avg10="))
		total, ok2 := bytes.CutPrefix(fields[4], []byte("total="))
		percent, err1 := strconv.ParseFloat(string(avg), 64)
		sum, err2 := strconv.ParseUint(string(total), 10, 64)
		if !ok1 || !ok2 || err1 != nil || err2 != nil || !(percent >= 0 && percent <= 100) {
			return Stall{}, false
		}
		return Stall{Total: Microseconds(sum), Avg10: percent / 100}, true
	}
	return Stall{}, false
}

// Microseconds is a duration of so many, the longest one where it would be longer.
func Microseconds(n uint64) time.Duration {
	return time.Duration(min(n, uint64(math.MaxInt64/time.Microsecond))) * time.Microsecond
}

// Share is the part of a time, from 0 to 1.
func Share(part, whole time.Duration) float64 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	return min(float64(part)/float64(whole), 1)
}

// Pressure is three shares of time, from 0 to 1, in which tasks stood still for
// want of a processor, of memory, of a disk; of which tasks depends on the lines
// that were read.
type Pressure struct {
	Known           bool
	CPU, Memory, IO float64
}

// Totals are the three files as they were at one time.
type Totals struct {
	At              time.Duration // CLOCK_BOOTTIME
	Known           bool
	CPU, Memory, IO Stall
}

// Since is the pressure since earlier totals. Without such it is that of the last
// ten seconds, as the kernel averages it.
func (t Totals) Since(before Totals) Pressure {
	if !t.Known {
		return Pressure{}
	}
	window := t.At - before.At
	if !before.Known || window <= 0 {
		return Pressure{Known: true, CPU: t.CPU.Avg10, Memory: t.Memory.Avg10, IO: t.IO.Avg10}
	}
	return Pressure{
		Known: true, CPU: Share(t.CPU.Total-before.CPU.Total, window),
		Memory: Share(t.Memory.Total-before.Memory.Total, window), IO: Share(t.IO.Total-before.IO.Total, window),
	}
}
