package capture

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// mapping is one line of /proc/PID/maps, proc(5).
type mapping struct {
	start, end uint64
	perm       string // "rw-p"
	offset     uint64 // bytes in the file
	inode      uint64
	path       string
}

// maxMappings bounds a core: an ELF header counts at most 65534 segments.
const maxMappings = 65000

// parseMapping reads one line of /proc/PID/maps.
func parseMapping(line string) (mapping, error) {
	var m mapping
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 5 || len(fields[1]) != 4 {
		return m, fmt.Errorf("cannot parse mapping %q", line)
	}
	low, high, ok := strings.Cut(fields[0], "-")
	if !ok {
		return m, fmt.Errorf("cannot parse mapping %q", line)
	}
	var errs [4]error
	m.start, errs[0] = strconv.ParseUint(low, 16, 64)
	m.end, errs[1] = strconv.ParseUint(high, 16, 64)
	m.offset, errs[2] = strconv.ParseUint(fields[2], 16, 64)
	m.inode, errs[3] = strconv.ParseUint(fields[4], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return m, fmt.Errorf("cannot parse mapping %q: %w", line, err)
	}
	if m.end <= m.start {
		return m, fmt.Errorf("cannot parse mapping %q: empty", line)
	}
	m.perm = fields[1]
	if len(fields) == 6 {
		m.path = strings.TrimLeft(fields[5], " ")
	}
	return m, nil
}

// readMappings reads all mappings of a process, at most maxMappings; dropped
// counts the rest and the lines that could not be parsed.
func readMappings(pid int) (list []mapping, dropped int, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read mappings of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(data)) {
		m, err := parseMapping(strings.TrimSuffix(line, "\n"))
		if err != nil || len(list) >= maxMappings {
			dropped++
			continue
		}
		list = append(list, m)
	}
	return list, dropped, nil
}

// isHead reports whether a mapping begins with the head of a file, where debuggers
// look for its build id. The kernel's own cores have that page too, core(5).
func (m mapping) isHead() bool {
	return m.inode != 0 && m.offset == 0 && m.perm[0] == 'r' && m.perm[1] == '-' && strings.HasPrefix(m.path, "/")
}

// wanted reports whether a core holds the mapping: what the program wrote and
// nobody shares, and the vdso, without which stacks in it do not unwind.
func (m mapping) wanted() bool {
	if m.path == "[vdso]" {
		return true
	}
	return m.perm[0] == 'r' && m.perm[1] == 'w' && m.perm[3] == 'p'
}
