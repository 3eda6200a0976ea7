package process

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Runtimes that Program.Runtime names.
const (
	RuntimeGo     = "go"
	RuntimeJVM    = "jvm"
	RuntimePython = "python"
	RuntimeNode   = "node"
	RuntimeNative = "native"
)

// Program says what a process runs: by the build information of its
// executable, else by the executable's name, else by the libraries that it maps.
func Program(pid int) (snapshot.Program, error) {
	exe := fmt.Sprintf("/proc/%d/exe", pid)
	p := snapshot.Program{Runtime: RuntimeNative}
	target, err := os.Readlink(exe)
	if err != nil {
		return p, fmt.Errorf("cannot read the executable of process %d: %w", pid, err)
	}
	p.Path = strings.TrimSuffix(target, " (deleted)")
	maps, _ := readBounded(fmt.Sprintf("/proc/%d/maps", pid))
	p.Runtime = guess(path.Base(p.Path), string(maps))
	file, err := elf.Open(exe)
	if err != nil {
		return p, fmt.Errorf("cannot read the executable of process %d: %w", pid, err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	p.Stripped = file.Section(".debug_info") == nil && file.Section(".zdebug_info") == nil
	p.BuildID = buildID(file)
	if info, err := buildinfo.ReadFile(exe); err == nil {
		describeGo(&p, info)
	} else if file.Section(".note.go.buildid") != nil {
		p.Runtime = RuntimeGo
	}
	return p, nil
}

// guess names the runtime of a program that is not Go.
func guess(name, maps string) string {
	switch {
	case name == "java" || strings.Contains(maps, "/libjvm.so"):
		return RuntimeJVM
	case strings.HasPrefix(name, "python") || strings.Contains(maps, "/libpython"):
		return RuntimePython
	case name == "node" || name == "nodejs" || strings.Contains(maps, "/libnode.so"):
		return RuntimeNode
	}
	return RuntimeNative
}

func describeGo(p *snapshot.Program, info *buildinfo.BuildInfo) {
	p.Runtime, p.GoVersion = RuntimeGo, info.GoVersion
	p.Module = strings.TrimSpace(info.Main.Path + " " + info.Main.Version)
	p.Optimised = true
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Revision = s.Value
		case "-gcflags":
			p.Optimised = !strings.Contains(s.Value, "-N")
		}
	}
}

// buildID is that of Go as text, else that of GNU in hexadecimal, "" when there
// is none.
func buildID(file *elf.File) string {
	for _, name := range []string{".note.go.buildid", ".note.gnu.build-id"} {
		section := file.Section(name)
		if section == nil || section.Size > 4096 {
			continue
		}
		data, err := section.Data()
		if err != nil || len(data) < 16 {
			continue
		}
		size := uint64(file.ByteOrder.Uint32(data[4:]))
		if 16+size > uint64(len(data)) {
			continue
		}
		if name == ".note.go.buildid" {
			return string(data[16 : 16+size])
		}
		return hex.EncodeToString(data[16 : 16+size])
	}
	return ""
}
