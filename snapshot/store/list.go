package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of a listing.
const (
	MaxList  = 10_000  // incidents that List returns at most
	maxNames = 100_000 // directory entries that are looked at
)

// Filter selects incidents; its zero value selects all. Zero fields do not filter.
type Filter struct {
	Service     string
	Cause       snapshot.Cause
	Fingerprint string
	Since       time.Time // Time of the incident, inclusive
	Until       time.Time // exclusive
	Max         int       // at most MaxList, which is also meant by 0
}

func (f Filter) matches(i snapshot.Incident) bool {
	return (f.Service == "" || f.Service == i.Service) &&
		(f.Cause == snapshot.CauseNone || f.Cause == i.Cause) &&
		(f.Fingerprint == "" || f.Fingerprint == i.Fingerprint) &&
		(f.Since.IsZero() || !i.Time.Before(f.Since)) &&
		(f.Until.IsZero() || i.Time.Before(f.Until))
}

// chooses says whether the filter leaves out anything.
func (f Filter) chooses() bool {
	return f.Service != "" || f.Cause != snapshot.CauseNone || f.Fingerprint != "" || !f.Since.IsZero() || !f.Until.IsZero()
}

// List returns the incidents that match, newest first. Unfinished ones have
// Status writing or pending and what their marker knows. An incident that
// cannot be read becomes a sentence in problems, with its path, and hides no
// other; so does what was left out. The error is that of reading the directory.
func (s *Store) List(filter Filter) (incidents []snapshot.Incident, problems []string, err error) {
	return s.list(filter, func(b *briefs, id string) (snapshot.Incident, error) {
		if filter.chooses() {
			if i, all, err := b.of(id); all || err != nil || !filter.matches(i) {
				return i, err
			}
		}
		return s.head(id)
	})
}

// Briefs is List with only what a list shows of each: Schema, ID, Service, Instance,
// PID, Time, Host, Cause, Sentence, Fingerprint, Status and Bytes. Of many incidents
// it takes these from an index, where that is current.
func (s *Store) Briefs(filter Filter) (incidents []snapshot.Incident, problems []string, err error) {
	return s.list(filter, func(b *briefs, id string) (snapshot.Incident, error) {
		i, all, err := b.of(id)
		if all {
			i = brief(&i)
		}
		return i, err
	})
}

func (s *Store) list(filter Filter, of func(*briefs, string) (snapshot.Incident, error)) (incidents []snapshot.Incident, problems []string, err error) {
	limit := filter.Max
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	ids, problems, err := s.ids()
	if err != nil {
		return nil, nil, err
	}
	if !filter.chooses() {
		incidents = make([]snapshot.Incident, 0, min(limit, len(ids)))
	}
	b := briefs{s: s}
	defer b.close()
	for n, id := range ids {
		if len(incidents) == limit {
			if filter.Max <= 0 || filter.Max > MaxList {
				problems = append(problems, fmt.Sprintf("%d older incidents were not looked at: the limit is %d", len(ids)-n, limit))
			}
			break
		}
		incident, err := of(&b, id)
		switch {
		case errors.Is(err, ErrNotFound): // removed meanwhile
		case err != nil:
			problems = append(problems, fmt.Sprintf("cannot read incident %s: %v", id, err))
		case filter.matches(incident):
			incidents = append(incidents, incident)
		}
	}
	return incidents, problems, nil
}

// ids returns the ids in the store, newest first.
func (s *Store) ids() (ids []string, problems []string, err error) {
	names, err := readNames(s.root)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list incidents of %s: %w", s.root, err)
	}
	if len(names) == maxNames {
		problems = append(problems, fmt.Sprintf("only %d entries of %s were looked at", maxNames, s.root))
	}
	for _, name := range names {
		if validID(name) {
			ids = append(ids, name)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	return ids, problems, nil
}

// readNames returns at most maxNames names of a directory.
func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxNames)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// head returns the manifest of an incident, or what its marker knows.
//
// A writer may move it on between our looks: writing -> pending -> complete.
// Each state is looked for in that direction, and the last one, the manifest,
// once more, so that an incident is seen in one of its states.
func (s *Store) head(id string) (snapshot.Incident, error) {
	dir := s.path(id)
	manifest := filepath.Join(dir, snapshot.FileIncident)
	incident, err := readManifest(manifest, id)
	if !errors.Is(err, fs.ErrNotExist) {
		return incident, err
	}
	marker, status, err := readMarker(dir)
	if err == nil && status == "" {
		incident, err = readManifest(manifest, id)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return incident, err
		}
		if info, statErr := os.Lstat(dir); statErr != nil || !info.IsDir() {
			return snapshot.Incident{}, ErrNotFound
		}
		return snapshot.Incident{}, fmt.Errorf("%s has neither %s nor a marker", dir, snapshot.FileIncident)
	}
	if err != nil {
		return snapshot.Incident{}, err
	}
	incident = marker.incident(id, status)
	incident.Bytes, err = usage(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return snapshot.Incident{}, ErrNotFound
	}
	return incident, err
}
