package store

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Reader is a place that incidents are read from: a store, or an exported bundle.
type Reader interface {
	// IDs returns the ids, newest first, and sentences about what was not looked at.
	IDs() (ids, problems []string, err error)
	// Head returns the manifest of one, or what is known of an unfinished one. The
	// error wraps ErrNotFound when it is not there any more.
	Head(id string) (snapshot.Incident, error)
	// Load is Store.Load.
	Load(id string) (Full, error)
	// Read decodes one of the JSON files of an incident. The error wraps
	// fs.ErrNotExist when there is none.
	Read(id, name string, v any) error
	Pinned(id string) bool
	// Stamp changes when the manifest does, as when the bounds of a store take a file
	// out of the incident; "" when there is none.
	Stamp(id string) string
	// Dir is the directory of an incident, "" when it has none.
	Dir(id string) (string, error)
}

var _ Reader = (*Store)(nil)

// IDs returns the ids in the store, newest first.
func (s *Store) IDs() (ids, problems []string, err error) { return s.ids() }

// Head returns the manifest of an incident, or what the marker of an unfinished
// one knows.
func (s *Store) Head(id string) (snapshot.Incident, error) {
	if !validID(id) {
		return snapshot.Incident{}, ErrNotFound
	}
	return s.head(id)
}

// Stamp identifies the manifest of an incident as it is on disk now.
func (s *Store) Stamp(id string) string {
	if !validID(id) {
		return ""
	}
	var st unix.Stat_t
	if unix.Lstat(filepath.Join(s.path(id), snapshot.FileIncident), &st) != nil {
		return ""
	}
	return fmt.Sprint(stampOf(&st))
}

// stamp tells two contents of a manifest apart: it is replaced, never changed.
type stamp struct {
	inode, size, modified, changed int64 // times in nanoseconds
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{int64(st.Ino), st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// Read decodes a JSON file of an incident, which must be one that the data model
// knows.
func (s *Store) Read(id, name string, v any) error {
	if !validID(id) {
		return fmt.Errorf("cannot read %s of incident %q: %w", name, id, ErrNotFound)
	}
	switch name {
	case snapshot.FileStacks, snapshot.FileProcess, snapshot.FileTimeline, snapshot.FileSuspect, snapshot.FileCapture,
		snapshot.FileWorld, snapshot.FileTree, snapshot.FileRuntime, snapshot.FileSamples:
	default:
		return fmt.Errorf("cannot read %q of incident %s: it is none of its files", name, id)
	}
	return readJSON(filepath.Join(s.path(id), name), limitOf(name), v)
}

// ValidID says whether a text has the shape of an incident's id; only then can it
// be the name of a directory in a store.
func ValidID(id string) bool { return validID(id) }
