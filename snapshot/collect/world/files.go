package world

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxFile bounds the text files that are read.
const maxFile = 256 << 10

// cgroupOf reads how the limits of a cgroup stand; nil where it has none.
func cgroupOf(dir string) *snapshot.CgroupState {
	if dir == "" {
		return nil
	}
	text := func(name string) string {
		b, _ := limited.ReadFile(filepath.Join(dir, name), maxFile) // a controller that is off has no files
		return string(b)
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(strings.TrimSpace(text(name)), 10, 64) // "max" is no limit
		return n
	}
	c := &snapshot.CgroupState{
		Path: dir, Memory: number("memory.current"), MemoryMax: number("memory.max"), OOMKills: keyed(text("memory.events"), "oom_kill"),
		Periods: keyed(text("cpu.stat"), "nr_periods"), Throttled: keyed(text("cpu.stat"), "nr_throttled"),
		Processes: number("pids.current"), ProcessMax: number("pids.max"),
	}
	for _, name := range []string{"cpu", "io", "memory"} {
		c.Pressure = append(c.Pressure, pressure(name, text(name+".pressure"))...)
	}
	return c
}

// keyed reads the value of a line "key value".
func keyed(text, key string) uint64 {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, _ := strconv.ParseUint(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// pressure keeps the lines of a pressure file that tell of any.
func pressure(name, text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "avg10=0.00 avg60=0.00 avg300=0.00") && len(line) < 200 {
			lines = append(lines, name+" "+line)
		}
	}
	return lines
}
