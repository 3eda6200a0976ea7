package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// measure is what the directory of an incident has on disk.
type measure struct {
	bytes  int64 // with the directory itself
	inodes int64
	pinned bool
	files  map[string]int64 // regular ones that are evidence
}

// measureDir looks at all files directly in a directory.
func measureDir(dir string) (measure, error) {
	own, err := allocated(dir)
	if err != nil {
		return measure{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return measure{}, err
	}
	m := measure{bytes: own, inodes: 1, files: make(map[string]int64, len(entries))}
	for _, e := range entries {
		n, err := allocated(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return measure{}, err
		}
		m.bytes += n
		m.inodes++
		m.pinned = m.pinned || e.Name() == filePinned
		if e.Type().IsRegular() && isEvidence(e.Name()) {
			m.files[e.Name()] = n
		}
	}
	return m, nil
}

// parts are the files that can go alone, the largest first.
func (m measure) parts() []Part {
	var list []Part
	for name, n := range m.files {
		if n >= minPart {
			list = append(list, Part{Name: name, Bytes: n})
		}
	}
	sortParts(list)
	return list
}

// allocated returns the bytes on disk of one file or directory, not of what is in it.
func allocated(path string) (int64, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, fmt.Errorf("cannot measure %s: %w", path, err)
	}
	return st.Blocks * 512, nil
}

// usage returns the bytes on disk of a directory and all files directly in it.
func usage(dir string) (int64, error) {
	m, err := measureDir(dir)
	return m.bytes, err
}
