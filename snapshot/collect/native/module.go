package native

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxMaps bounds the mappings that are looked at.
const maxMaps = 16 << 10

// module is an executable mapping of a file.
type module struct {
	start, end uint64
	offset     uint64 // in the file
	base       uint64 // where the file's first mapping lies
	path       string
	inode      uint64
}

// modules are in the order of their addresses.
type modules []module

func readModules(pid int) modules {
	text, err := readLarge(fmt.Sprintf("/proc/%d/maps", pid), 16<<20)
	if err != nil {
		return nil // names are missing then, nothing else
	}
	return parseModules(text)
}

// parseModules reads proc_pid_maps(5): "start-end perms offset dev inode path".
func parseModules(text []byte) modules {
	var list modules
	base := map[string]uint64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 0; lines.Scan() && n < maxMaps; n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		offset, err3 := strconv.ParseUint(fields[2], 16, 64)
		inode, err4 := strconv.ParseUint(fields[4], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || end <= start {
			continue
		}
		// A path may hold blanks; it is the rest of the line.
		name := lines.Text()[strings.Index(lines.Text(), fields[5]):]
		if _, ok := base[name]; !ok {
			base[name] = start
		}
		if strings.Contains(fields[1], "x") {
			list = append(list, module{start: start, end: end, offset: offset, base: base[name], path: clip(name, maxPath), inode: inode})
		}
	}
	slices.SortFunc(list, func(a, b module) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	return list
}

// at is the module of a program counter.
func (m modules) at(pc uint64) (module, bool) {
	i, _ := slices.BinarySearchFunc(m, pc, func(m module, pc uint64) int {
		if m.end <= pc {
			return -1
		}
		return 1
	})
	if i >= len(m) || pc < m[i].start {
		return module{}, false
	}
	return m[i], true
}

// name is a function without a symbol: its file and its distance from the begin
// of the file's image, which is the same in every process and which addr2line(1)
// understands for a position-independent file.
func (m modules) name(pc uint64) string {
	in, ok := m.at(pc)
	if !ok {
		return fmt.Sprintf("%#x", pc)
	}
	return fmt.Sprintf("%s+%#x", path.Base(strings.TrimSuffix(in.path, " (deleted)")), pc-in.base)
}

// nameFrames names the frames that have no symbol.
func (m modules) nameFrames(frames []snapshot.Frame) {
	for i := range frames {
		if f := &frames[i]; f.Function == "" || f.Function == "??" {
			f.Function = m.name(f.PC)
		}
	}
}

// musl says whether the C library is musl, whose locks look otherwise.
func (m modules) musl() bool {
	return slices.ContainsFunc(m, func(m module) bool { return strings.Contains(m.path, "ld-musl-") })
}
