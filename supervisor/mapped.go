package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// maxMaps bounds what is read of /proc/PID/maps, in bytes.
const maxMaps = 4 << 20

// openMapped opens a memfd by the mapping that a process has of it, proc(5),
// /proc/PID/map_files (it takes CAP_CHECKPOINT_RESTORE, Linux 5.9). So memory that
// a keeper held which was killed is found again.
func openMapped(pid int, name string) (*os.File, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := limited.ReadFile(filepath.Join(dir, "maps"), maxMaps)
	if err != nil {
		return nil, err
	}
	region, ok := mappingOf(text, name)
	if !ok {
		return nil, fmt.Errorf("cannot find %s in the memory of pid %d: %w", name, pid, fs.ErrNotExist)
	}
	return os.OpenFile(filepath.Join(dir, "map_files", region), os.O_RDWR, 0)
}

// recoverMapped finds memory that the keeper does not hold, and gives it to the
// keeper. pid is 0 when there is no process. A program that has not mapped it does
// not use it; what is refused is said.
func (v *service) recoverMapped(pid int, name, file string, wanted bool) *os.File {
	if pid == 0 || !wanted || v.leaving {
		return nil
	}
	f, err := openMapped(pid, name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			v.s.event(v.cfg.Name, "alert", "its beats in shared memory are not seen until its next start: the keeper that held "+name+" is gone: "+err.Error())
		}
		return nil
	}
	v.s.check(v.s.keeper.send(protocol.TPutFile, protocol.Name{Name: file}, []*os.File{f}, nil))
	return f
}

// mappingOf finds the address range of a memfd in /proc/PID/maps.
func mappingOf(maps []byte, name string) (region string, ok bool) {
	for line := range bytes.Lines(maps) {
		words := bytes.Fields(line)
		if len(words) >= 6 && string(words[5]) == "/memfd:"+name {
			return string(words[0]), true
		}
	}
	return "", false
}
