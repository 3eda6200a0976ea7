package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Prune removes what Policy.Plan says and returns what was removed and why.
// Unfinished and pinned incidents stay; one whose manifest cannot be read goes
// only when the bytes or the free space cannot be had otherwise. Each goes at
// once for readers: it is renamed before it is deleted. problems are sentences
// about what could not be measured or removed, or that the policy cannot be
// met. now is the wall clock.
func (s *Store) Prune(policy Policy, now time.Time) (removed []Removal, problems []string, err error) {
	if s.readOnly {
		return nil, nil, fmt.Errorf("cannot prune incident store %s: %w", s.root, ErrReadOnly)
	}
	entries, problems, err := s.entries()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot prune incident store %s: %w", s.root, err)
	}
	free, _, err := s.Space()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot prune incident store: %w", err)
	}
	var freed int64
	for _, r := range policy.Plan(entries, free, now) {
		if err := s.remove(r.ID); err != nil {
			problems = append(problems, err.Error())
			continue
		}
		freed += r.Bytes
		removed = append(removed, r)
	}
	rest := plan{policy: policy, total: total(entries) - freed, free: free + freed}
	if why := rest.want(); why != "" {
		problems = append(problems, "nothing more may be removed, but "+why)
	}
	return removed, problems, nil
}

// Preview returns what Prune would remove now, and removes nothing.
func (s *Store) Preview(policy Policy, now time.Time) (planned []Removal, problems []string, err error) {
	entries, problems, err := s.entries()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot look at incident store: %w", err)
	}
	free, _, err := s.Space()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot look at incident store: %w", err)
	}
	return policy.Plan(entries, free, now), problems, nil
}

func total(entries []Entry) (bytes int64) {
	for _, e := range entries {
		bytes += e.Bytes
	}
	return bytes
}

// entries measures all incidents.
func (s *Store) entries() (entries []Entry, problems []string, err error) {
	ids, problems, err := s.ids()
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		entry, err := s.entry(id)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			problems = append(problems, fmt.Sprintf("cannot measure incident %s: %v", id, err))
		default:
			entries = append(entries, entry)
		}
	}
	return entries, problems, nil
}

func (s *Store) entry(id string) (Entry, error) {
	bytes, err := usage(s.path(id))
	if err != nil {
		return Entry{}, err
	}
	incident, err := s.head(id)
	if errors.Is(err, ErrNotFound) {
		return Entry{}, err
	}
	if err != nil {
		// Evidence that cannot be read now may be read by another version:
		// a fingerprint of its own spares it as long as there is room.
		at, service, _ := parseID(id)
		return Entry{ID: id, Time: at, Service: service, Fingerprint: "unreadable:" + id, Bytes: bytes, Keep: s.keeps(id)}, nil
	}
	unfinished := incident.Status == snapshot.StatusWriting || incident.Status == snapshot.StatusPending
	return Entry{
		ID: id, Time: incident.Time, Service: incident.Service, Cause: incident.Cause,
		Fingerprint: incident.Fingerprint, Bytes: bytes, Keep: unfinished || s.keeps(id),
	}, nil
}

func (s *Store) keeps(id string) bool { return s.Pinned(id) || s.isActive(id) }

// remove removes an incident. A process that is killed in between leaves a
// hidden directory, which Recover removes.
func (s *Store) remove(id string) error {
	hidden := s.path(prefixRemoved + id)
	err := os.RemoveAll(hidden) // of an earlier try
	if err == nil {
		err = os.Rename(s.path(id), hidden)
	}
	if err == nil {
		err = atomicfile.SyncDir(s.root)
	}
	if err == nil {
		err = os.RemoveAll(hidden)
	}
	if err != nil {
		return fmt.Errorf("cannot remove incident %s: %w", id, err)
	}
	return nil
}
