package pidfd

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// errStat is a /proc/PID/stat that is not what proc(5) describes.
var errStat = errors.New("malformed stat")

// StartTicks returns when pid was started: field 22 of /proc/PID/stat, in clock
// ticks (1/100 s) since the machine booted. Together with the pid it identifies
// a process within one boot.
func StartTicks(pid int) (uint64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("cannot read the start time of process %d: %w", pid, err)
	}
	ticks, err := parseTicks(string(text))
	if err != nil {
		return 0, fmt.Errorf("cannot read the start time of process %d: %w", pid, err)
	}
	return ticks, nil
}

// Same says whether the process that has pid now, a zombie included, is the one
// that was started at ticks.
func Same(pid int, ticks uint64) bool {
	now, err := StartTicks(pid)
	return err == nil && now == ticks
}

// parseTicks finds field 22. The name, field 2, may hold spaces and brackets,
// so counting begins behind the last bracket.
func parseTicks(stat string) (uint64, error) {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, errStat
	}
	fields := strings.Fields(stat[i+1:])
	const startTime = 22 - 3 // fields[0] is field 3
	if len(fields) <= startTime {
		return 0, errStat
	}
	n, err := strconv.ParseUint(fields[startTime], 10, 64)
	if err != nil {
		return 0, errStat
	}
	return n, nil
}
