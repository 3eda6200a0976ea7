package watchdog

import (
	"bytes"
	"strconv"
	"time"

	"github.com/vigil-supervisor/vigil/internal/psi"
)

// throttle is what cpu.stat of a cgroup says of cpu.max.
type throttle struct {
	periods, held uint64
	time          time.Duration // summed up over processors
}

// since is the smaller one of two shares: of time, which several processors
// make too large, and of periods, of which one counts however short the wait was.
func (t throttle) since(before throttle, window time.Duration) float64 {
	if t.periods <= before.periods || t.held < before.held {
		return 0
	}
	periods := float64(t.held-before.held) / float64(t.periods-before.periods)
	return min(periods, psi.Share(t.time-before.time, window), 1)
}

// thread is one thread as a look saw it.
type thread struct {
	state    byte
	start    uint64        // clock ticks since boot
	switches uint64        // times put on a processor
	delay    time.Duration // ready and waiting for one
}

// procStat is what is needed of proc_pid_stat(5).
type procStat struct {
	state  byte
	faults uint64 // field 12, majflt
	start  uint64 // field 22
}

// parseProcStat counts behind the last bracket: the name may hold any byte.
func parseProcStat(text []byte) (procStat, bool) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return procStat{}, false
	}
	const third = 3
	fields := bytes.Fields(text[end+1:])
	if len(fields) <= 22-third || len(fields[0]) != 1 {
		return procStat{}, false
	}
	faults, err1 := strconv.ParseUint(string(fields[12-third]), 10, 64)
	start, err2 := strconv.ParseUint(string(fields[22-third]), 10, 64)
	return procStat{state: fields[0][0], faults: faults, start: start}, err1 == nil && err2 == nil
}

// parseRunDelay reads schedstat of a thread: nanoseconds on a processor, in its
// queue, and times put on one (Documentation/scheduler/sched-stats.rst).
func parseRunDelay(text []byte) (delay time.Duration, switches uint64) {
	fields := bytes.Fields(text)
	if len(fields) != 3 {
		return 0, 0
	}
	return time.Duration(min(decimal(fields[1]), uint64(never))), decimal(fields[2])
}

// keyedNumber finds the line "key number"; 0 if there is none.
func keyedNumber(text []byte, key string) uint64 {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 2 && string(fields[0]) == key {
			return decimal(fields[1])
		}
	}
	return 0
}

func decimal(word []byte) uint64 {
	n, err := strconv.ParseUint(string(word), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
