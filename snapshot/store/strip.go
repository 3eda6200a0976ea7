package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// strip removes one file of a complete incident, and its manifest says so. The
// manifest comes first: who is killed in between leaves a file that the manifest
// calls removed, which the next prune finishes. Only a disk that has no room for
// the new manifest turns the order round.
func (s *Store) strip(id string, r Removal, now time.Time) error {
	err := s.stripped(id, snapshot.Removed{Name: r.Part, Bytes: r.Bytes, Time: now.UTC(), Why: r.Reason})
	if err != nil {
		return fmt.Errorf("cannot remove %s of incident %s: %w", r.Part, id, err)
	}
	return nil
}

func (s *Store) stripped(id string, gone snapshot.Removed) error {
	if err := s.mayTouch(id); err != nil {
		return err
	}
	dir := s.path(id)
	path := filepath.Join(dir, snapshot.FileIncident)
	manifest, err := readManifest(path, id)
	if err != nil {
		return err
	}
	m, err := measureDir(dir)
	if err != nil {
		return err
	}
	data, err := readFile(path, limitIncident)
	if err == nil {
		data, err = without(data, manifest, gone, m.bytes-m.files[gone.Name])
	}
	if err != nil {
		return err
	}
	err = atomicfile.Write(path, data, filePerm)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		if err = os.Remove(filepath.Join(dir, gone.Name)); err == nil {
			return atomicfile.Write(path, data, filePerm)
		}
	}
	if err != nil {
		return err
	}
	return removePart(dir, gone.Name)
}

func removePart(dir, name string) error {
	err := os.Remove(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return atomicfile.SyncDir(dir)
}

// without is the text of a manifest with one file less. It changes the keys that
// tell of files, and keeps what it does not know: a newer vigil may have written it.
func without(data []byte, manifest snapshot.Incident, gone snapshot.Removed, bytesLeft int64) ([]byte, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	files := []snapshot.FileInfo{}
	for _, f := range manifest.Files {
		if f.Name != gone.Name {
			files = append(files, f)
		}
	}
	removed := manifest.Removed
	if _, told := manifest.RemovedFile(gone.Name); !told {
		removed = append(removed[:len(removed):len(removed)], gone)
	}
	for key, v := range map[string]any{"files": files, "removed": removed, "bytes": bytesLeft} {
		text, err := encode(v, "")
		if err != nil {
			return nil, err
		}
		keys[key] = bytes.TrimSpace(text)
	}
	text, err := encode(keys, "  ")
	if err == nil && len(text) > limitIncident {
		err = fmt.Errorf("%s would have %d bytes, the limit is %d", snapshot.FileIncident, len(text), limitIncident)
	}
	return text, err
}

// leftovers are files that a manifest calls removed and that are there still.
func leftovers(i snapshot.Incident, m measure) (names []string) {
	for _, r := range i.Removed {
		if _, there := m.files[r.Name]; there {
			names = append(names, r.Name)
		}
	}
	return names
}
