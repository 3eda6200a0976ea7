// Package atomicfile writes a file so that a reader, or a machine that lost
// power, sees either the old content or the new one, never a part of it.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// DefaultPerm is the mode of a file that is written with perm 0.
const DefaultPerm fs.FileMode = 0o600

// prefix starts the name of every temporary file. It does not carry the name
// of the target: a target with a name of 255 bytes could not be written then.
const prefix = ".atomic-"

// Write puts data into path: a temporary file in the same directory, fsync,
// rename, fsync of the directory. perm is set whatever the umask; 0 means
// DefaultPerm. A symbolic link at path is replaced, not followed.
//
// On failure path is untouched and nothing is left behind, with one exception:
// when only the fsync of the directory failed, path has its new content, but
// whether it survives a loss of power is unknown. A process that is killed in
// between leaves a temporary file; see IsTemporary. Errors name path and wrap
// the kernel's (ENOSPC, EDQUOT, EACCES, EROFS, ...).
func Write(path string, data []byte, perm fs.FileMode) error {
	if perm == 0 {
		perm = DefaultPerm
	}
	dir := filepath.Dir(path)
	temporary := filepath.Join(dir, prefix+rand.Text())
	if err := fill(temporary, data, perm); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, errors.Join(err, os.Remove(temporary)))
	}
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// fill makes the temporary file, durable, or removes it again.
func fill(temporary string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, DefaultPerm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	// close(2) reports what a network file system could not write.
	err = errors.Join(err, f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// SyncDir makes the entries of a directory durable: names that were created,
// renamed or removed in it, fsync(2). A file system that cannot do that for a
// directory answers EINVAL; that is not an error here.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync directory %s: %w", dir, err)
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("cannot sync directory %s: %w", dir, err)
	}
	return nil
}

// IsTemporary reports whether a file name (no directory) is that of a
// temporary file of Write. One that is found while nobody writes in that
// directory was left by a process that was killed, and can be removed.
func IsTemporary(name string) bool { return strings.HasPrefix(name, prefix) }
