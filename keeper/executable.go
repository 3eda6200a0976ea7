package keeper

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// executable is a program that supervisors are started from. Where it can be
// it is an open file: what was tried is what is used, whatever happens to the
// path meanwhile. The loop owns it.
type executable struct {
	path string
	file *os.File // nil: by path
}

// ownExecutable is the program that we are ourselves.
func ownExecutable() *executable { return &executable{path: "/proc/self/exe"} }

// openExecutable opens the program that is at path now. A script is run by
// its path: its interpreter could not open our descriptor.
func openExecutable(path string) (*executable, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the program: %w", err)
	}
	magic := make([]byte, 2)
	if _, err := io.ReadFull(f, magic); err == nil && string(magic) == "#!" {
		f.Close()
		return &executable{path: path}, nil
	}
	return &executable{path: path, file: f}, nil
}

// command is the path to give to execve: in the child, which has a copy of our
// descriptors, /proc/self is the child's own.
func (e *executable) command() string {
	if e.file == nil {
		return e.path
	}
	return "/proc/self/fd/" + strconv.Itoa(int(e.file.Fd()))
}

func (e *executable) close() {
	if e != nil && e.file != nil {
		e.file.Close()
	}
}

// diskPath is where the program that we were started from lies, and where an
// upgrade will put the next one: the name that we were called by, symbolic
// links kept, if that leads to us; else where the kernel says that we are.
func diskPath() string {
	own, err := os.Stat("/proc/self/exe")
	if err == nil && len(os.Args) > 0 {
		if p, lerr := exec.LookPath(os.Args[0]); lerr == nil {
			if abs, aerr := filepath.Abs(p); aerr == nil {
				if info, serr := os.Stat(abs); serr == nil && os.SameFile(own, info) {
					return abs
				}
			}
		}
	}
	path, err := os.Executable()
	if err != nil {
		return "/proc/self/exe"
	}
	return path
}
