package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a report and of the directory that it lies in.
const (
	maxReport = 16 << 20
	maxNames  = 64 << 10
	lookTime  = 5 * time.Millisecond
)

// stamp tells two states of a file apart.
type stamp struct {
	ino   uint64
	size  int64
	mtime int64 // nanoseconds
}

// reports are the files that can be a report.
func (c configuration) reports() map[string]stamp {
	found := map[string]stamp{}
	add := func(name string) {
		var st unix.Stat_t
		// A link could lead anywhere.
		if unix.Lstat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			found[name] = stamp{st.Ino, st.Size, st.Mtim.Nano()}
		}
	}
	if c.filename != "" {
		add(filepath.Join(c.directory, c.filename))
		return found
	}
	dir, err := os.Open(c.directory + "/")
	if err != nil {
		return found
	}
	defer dir.Close()
	for n := 0; n < maxNames; {
		names, err := dir.Readdirnames(1024)
		n += len(names)
		for _, name := range names {
			// The number in it is that of its own pid namespace: of no use here.
			if strings.HasPrefix(name, "report.") && strings.HasSuffix(name, ".json") {
				add(filepath.Join(c.directory, name))
			}
		}
		if err != nil {
			break
		}
	}
	return found
}

// readReport reads a report that is whole.
func readReport(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxReport {
		return nil, fmt.Errorf("not a regular file of at most %d MiB", maxReport>>20)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxReport))
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, errors.New("it is still being written")
	}
	return text, nil
}
