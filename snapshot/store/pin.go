package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
)

// SetPinned pins an incident, so that Prune never removes it, or unpins it.
// Both may be repeated. The reference is as in Resolve.
func (s *Store) SetPinned(ref string, pinned bool) error {
	if s.readOnly {
		return fmt.Errorf("cannot pin incident %q: %w", ref, ErrReadOnly)
	}
	// A prune that has begun is let to end: what it does not remove is kept then.
	unlock, err := s.lock(lockWait)
	if err != nil {
		return fmt.Errorf("cannot pin incident %q: %w", ref, err)
	}
	defer unlock()
	id, err := s.Resolve(ref)
	if err != nil {
		return fmt.Errorf("cannot pin incident %q: %w", ref, err)
	}
	path := filepath.Join(s.path(id), filePinned)
	if pinned {
		return atomicfile.Write(path, nil, filePerm)
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot unpin incident %q: %w", ref, err)
	}
	return atomicfile.SyncDir(s.path(id))
}

// Pinned reports whether the incident with that id is pinned. In doubt it is.
func (s *Store) Pinned(id string) bool {
	if !validID(id) {
		return false
	}
	_, err := os.Lstat(filepath.Join(s.path(id), filePinned))
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}
