package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// packed ends the name of a compressed file.
const packed = ".zst"

// rotate moves every file up by one, as far as the first number that is free;
// without one the oldest is removed. A death between two renames leaves such a
// free number, and no file is lost or doubled. When rotating does not work the
// log stops growing: it is bounded before it is complete.
func (l *file) rotate() error {
	if err := l.shut(); err != nil {
		return fmt.Errorf("cannot close full log: %w", err)
	}
	if l.keep <= 0 {
		return l.discard()
	}
	l.settlePairs()
	last := 1
	for last < l.keep && l.exists(last) {
		last++
	}
	if err := l.remove(last); err != nil {
		return fmt.Errorf("cannot remove oldest log: %w", err)
	}
	for i := last; i > 1; i-- {
		for _, end := range []string{"", packed} {
			err := os.Rename(l.numbered(i-1)+end, l.numbered(i)+end)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("cannot rotate log: %w", err)
			}
		}
	}
	if err := os.Rename(l.path, l.numbered(1)); err != nil {
		return fmt.Errorf("cannot rotate log: %w", err)
	}
	// What an earlier configuration kept beyond the present count.
	for i := l.keep + 1; l.exists(i) && l.remove(i) == nil; i++ {
	}
	l.index.retire(l.path, l.inode)
	l.sweepIndexes()
	if l.compressor != nil {
		l.compressor.add(l, true)
	}
	return nil
}

// discard begins anew without keeping anything.
func (l *file) discard() error {
	if err := os.Remove(l.path); err != nil {
		return fmt.Errorf("cannot remove full log: %w", err)
	}
	_ = os.Remove(currentIndex(l.path))
	for i := 1; l.exists(i) && l.remove(i) == nil; i++ {
	}
	l.sweepIndexes()
	return nil
}

func (l *file) numbered(i int) string { return l.path + "." + strconv.Itoa(i) }

// exists reports whether there is a rotated file i, compressed or not.
func (l *file) exists(i int) bool {
	return isThere(l.numbered(i)) || isThere(l.numbered(i)+packed)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (l *file) remove(i int) error {
	for _, path := range []string{l.numbered(i), l.numbered(i) + packed} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeOldest makes space: it removes the oldest rotated file and reports
// whether there was one.
func (l *file) removeOldest() bool {
	for i := l.keep; i > 0; i-- {
		if l.exists(i) {
			return l.remove(i) == nil
		}
	}
	return false
}

// settlePairs ends a compression that was broken off between its last two
// steps: the compressed file is whole, since it has its name.
func (l *file) settlePairs() {
	for i := 1; i <= l.keep; i++ {
		if isThere(l.numbered(i)+packed) && isThere(l.numbered(i)) {
			_ = os.Remove(l.numbered(i))
		}
	}
}

// scratch is where a file is compressed. Its name begins with a dot: patterns
// of logrotate and of shells do not match it.
func (l *file) scratch() string {
	dir, base := filepath.Split(l.path)
	return dir + "." + base + packed + ".tmp"
}

// settle cleans up after a predecessor; again reports whether it died while it
// compressed, so that the work is still to be done.
func (l *file) settle() (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settlePairs()
	return os.Remove(l.scratch()) == nil
}
