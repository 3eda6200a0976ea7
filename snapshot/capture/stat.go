package capture

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stat is the part of /proc/PID/stat (proc(5)) that a capture needs.
type stat struct {
	state      byte
	startTicks uint64
}

// parseStat reads a line of /proc/PID/stat. comm may hold any byte, also ')'
// and newline, so the fields are counted after the last ')'.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("cannot parse stat: no command")
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("cannot parse stat: %d fields after the command", len(fields))
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("cannot parse stat: start time: %w", err)
	}
	return stat{state: fields[0][0], startTicks: ticks}, nil
}

func readStat(path string) (stat, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(data))
}
