package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Unfinished is an incident that a former process began and did not finish.
type Unfinished struct {
	ID       string
	Status   snapshot.Status // writing or pending; writing when the marker is lost
	Marker   Marker          // zero when it is lost or unreadable
	Lost     bool            // there is no readable marker; the store never makes such a directory
	Rebooted bool            // it was begun before this boot of the machine
}

// Recover lists the incidents that a former process left unfinished, oldest
// first, and removes what is left of creations and removals that were cut
// short: hidden directories, empty ones, and markers of complete incidents. It
// never removes a directory that holds evidence: one without a marker and
// without incident.json is listed as Lost.
//
// Only the process that owns the store may call it, since an incident that
// another process is writing looks the same, unless it holds it (Writing.Hold).
// Those that are held, and those that this Store is writing, are left alone. What could not be examined is joined into the error; the list
// is good all the same.
func (s *Store) Recover() ([]Unfinished, error) {
	if s.readOnly {
		return nil, fmt.Errorf("cannot recover incident store %s: %w", s.root, ErrReadOnly)
	}
	entries, err := os.ReadDir(s.root)
	if err != nil {
		return nil, fmt.Errorf("cannot recover incident store: %w", err)
	}
	boot := bootID()
	var list []Unfinished
	var problems []error
	for _, e := range entries { // sorted by name, so by time
		if !e.IsDir() {
			continue
		}
		if id, hidden := hiddenID(e.Name()); hidden {
			if !s.isActive(id) {
				problems = append(problems, os.RemoveAll(s.path(e.Name())))
			}
			continue
		}
		if !validID(e.Name()) || s.isActive(e.Name()) {
			continue
		}
		if s.isHeld(e.Name()) {
			continue
		}
		u, unfinished, err := s.examine(e.Name())
		problems = append(problems, err)
		if unfinished {
			u.Rebooted = u.Marker.BootID != "" && u.Marker.BootID != boot
			list = append(list, u)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return list, fmt.Errorf("cannot recover all of incident store %s: %w", s.root, err)
	}
	return list, nil
}

// hiddenID returns the id in the name of a hidden directory of the store.
func hiddenID(name string) (id string, ok bool) {
	for _, prefix := range []string{prefixNew, prefixRemoved} {
		if id, found := strings.CutPrefix(name, prefix); found && validID(id) {
			return id, true
		}
	}
	return "", false
}

// examine looks at one directory that nobody is writing.
func (s *Store) examine(id string) (u Unfinished, unfinished bool, err error) {
	dir := s.path(id)
	if _, err := os.Lstat(filepath.Join(dir, snapshot.FileIncident)); err == nil {
		return Unfinished{}, false, removeAll(dir, isMarker)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Unfinished{}, false, err
	}
	// rmdir(2) is the test for emptiness that cannot race.
	if os.Remove(dir) == nil {
		return Unfinished{}, false, nil
	}
	u = Unfinished{ID: id, Status: snapshot.StatusWriting}
	marker, status, err := readMarker(dir)
	if status != "" {
		u.Status = status
	}
	if err != nil || status == "" || marker.Schema != snapshot.SchemaVersion {
		u.Lost = true
		return u, true, nil // what is wrong with the marker changes nothing
	}
	u.Marker = marker
	return u, true, nil
}

// Resume goes on with an unfinished incident. It removes what a killed write
// left. Errors wrap ErrNotFound, ErrFinished, ErrBusy or ErrReadOnly.
func (s *Store) Resume(id string) (*Writing, error) {
	w, err := s.resume(id)
	if err != nil {
		return nil, fmt.Errorf("cannot resume incident %q: %w", id, err)
	}
	return w, nil
}

func (s *Store) resume(id string) (*Writing, error) {
	if s.readOnly {
		return nil, ErrReadOnly
	}
	if !validID(id) {
		return nil, ErrNotFound
	}
	if s.isHeld(id) || !s.take(id) {
		return nil, ErrBusy
	}
	w, err := s.reopen(id)
	if err != nil {
		s.release(id)
	}
	return w, err
}

func (s *Store) reopen(id string) (*Writing, error) {
	dir := s.path(id)
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	u, unfinished, err := s.examine(id)
	if err != nil {
		return nil, err
	}
	if !unfinished {
		return nil, ErrFinished
	}
	if err := removeAll(dir, atomicfile.IsTemporary); err != nil {
		return nil, err
	}
	w := &Writing{store: s, id: id, dir: dir, marker: u.Marker}
	if u.Lost {
		err = w.remark()
	}
	return w, err
}

// remark gives an incident that lost its marker a new one, made from its id.
func (w *Writing) remark() error {
	at, service, _ := parseID(w.id)
	w.marker = Marker{Schema: snapshot.SchemaVersion, Subject: Subject{Service: service}, Time: at, Writer: os.Getpid()}
	data, err := encode(w.marker, "")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(w.dir, fileWriting), data, filePerm)
}
