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

// ReserveBytes is what Begin sets aside for incident.json.
const ReserveBytes = 64 << 10

// Prefixes of hidden directories.
const (
	prefixNew     = ".new-"
	prefixRemoved = ".removed-"
)

// beginTries bounds the search for a free id. Each has 65,536 candidates per
// microsecond and service; a second try is already rare.
const beginTries = 16

// Writing is an incident that is being written. It is for one goroutine at a
// time. It ends with Complete, Abandon or Close.
type Writing struct {
	store  *Store
	id     string
	dir    string
	marker Marker
	closed bool
	held   *os.File // see Hold
}

// Begin makes the directory of a new incident, durable, with its marker. now is
// the wall clock. On failure (a full disk: unix.ENOSPC) nothing is left.
func (s *Store) Begin(subject Subject, now time.Time) (*Writing, error) {
	if s.readOnly {
		return nil, fmt.Errorf("cannot begin incident of service %q: %w", subject.Service, ErrReadOnly)
	}
	marker := Marker{
		Schema: snapshot.SchemaVersion, Subject: subject, Time: now.UTC(), BootID: bootID(), Writer: os.Getpid(),
	}
	var err error
	for range beginTries {
		w := &Writing{store: s, id: newID(subject.Service, now), marker: marker}
		w.dir = s.path(w.id)
		if !s.take(w.id) {
			err = ErrBusy
			continue
		}
		if err = w.create(); err == nil {
			return w, nil
		}
		s.release(w.id)
		// It does not exist any more when a supervisor that has just started took
		// it for what a killed process left.
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, fmt.Errorf("cannot begin incident of service %q: %w", subject.Service, err)
}

// create prepares the hidden directory and gives it its name.
func (w *Writing) create() error {
	hidden := filepath.Join(w.store.root, prefixNew+w.id)
	if err := os.Mkdir(hidden, dirPerm); err != nil {
		return err
	}
	err := w.prepare(hidden)
	if err == nil {
		// Go refuses to rename onto a directory, and the kernel onto one
		// that is not empty, so an id is never taken twice.
		err = os.Rename(hidden, w.dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(hidden))
	}
	if err := atomicfile.SyncDir(w.store.root); err != nil {
		return errors.Join(err, os.RemoveAll(w.dir))
	}
	return nil
}

func (w *Writing) prepare(hidden string) error {
	data, err := encode(w.marker, "")
	if err != nil {
		return err
	}
	if len(data) > limitMarker {
		return fmt.Errorf("marker has %d bytes, the limit is %d", len(data), limitMarker)
	}
	if err := reserve(filepath.Join(hidden, fileReserve)); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(hidden, fileWriting), data, filePerm)
}

// reserve allocates ReserveBytes in a file. A file system without fallocate(2)
// has no reserve; that alone is no reason to refuse an incident.
func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, ReserveBytes)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("cannot reserve %d bytes in %s: %w", ReserveBytes, path, err)
	}
	return errors.Join(err, f.Close())
}

// encode makes JSON as the store writes it: a last newline, and < > & as they are.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// ID returns the id of the incident.
func (w *Writing) ID() string { return w.id }

// Dir returns the absolute path of its directory. A capture helper may write
// there itself: regular files, no names that begin with a dot.
func (w *Writing) Dir() string { return w.dir }

// Marker returns what was known when the incident was begun.
func (w *Writing) Marker() Marker { return w.marker }

// WriteJSON writes v as the JSON file name, see WriteFile.
func (w *Writing) WriteJSON(name string, v any) error {
	data, err := encode(v, "")
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", filepath.Join(w.dir, name), err)
	}
	return w.WriteFile(name, data)
}

// WriteFile writes a file of the incident, whole and durable, or not at all.
// incident.json and the store's own names are refused, as is a file that is
// larger than what Load would read.
func (w *Writing) WriteFile(name string, data []byte) error {
	path := filepath.Join(w.dir, name)
	switch {
	case w.closed:
		return fmt.Errorf("cannot write %s: %w", path, ErrClosed)
	case !isEvidence(name):
		return fmt.Errorf("cannot write %q in incident %s: not a name for evidence", name, w.id)
	case int64(len(data)) > limitOf(name):
		return fmt.Errorf("cannot write %s: it has %d bytes, the limit is %d", path, len(data), limitOf(name))
	}
	return atomicfile.Write(path, data, filePerm)
}

// isEvidence reports whether a caller may write a file of that name.
func isEvidence(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		if !isIDByte(name[i]) {
			return false
		}
	}
	switch name {
	case snapshot.FileIncident, fileWriting, filePending, filePinned:
		return false
	}
	return true
}

// Pending records that the evidence is safe. It may be called again.
func (w *Writing) Pending() error {
	if w.closed {
		return fmt.Errorf("cannot mark incident %s as pending: %w", w.id, ErrClosed)
	}
	from, to := filepath.Join(w.dir, fileWriting), filepath.Join(w.dir, filePending)
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Lstat(to) // it was pending before
	}
	if err == nil {
		err = atomicfile.SyncDir(w.dir)
	}
	if err != nil {
		return fmt.Errorf("cannot mark incident %s as pending: %w", w.id, err)
	}
	return nil
}

// Close stops writing and leaves the incident unfinished, for Recover to list.
// After Complete or Abandon it does nothing.
func (w *Writing) Close() {
	if !w.closed {
		w.closed = true
		w.store.release(w.id)
		if w.held != nil {
			_ = w.held.Close() // which unlocks
		}
	}
}
