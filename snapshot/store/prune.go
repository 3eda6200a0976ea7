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
// only when the room cannot be had otherwise. Each goes at once for readers: it is
// renamed before it is deleted; of one that loses a file the manifest says so
// before the file goes. One process prunes at a time: another one's prune is waited
// for, up to lockWait (ErrLocked). problems are sentences about what could not be
// measured or removed, or that the policy cannot be met. now is the wall clock.
func (s *Store) Prune(policy Policy, now time.Time) (removed []Removal, problems []string, err error) {
	if s.readOnly {
		return nil, nil, fmt.Errorf("cannot prune incident store %s: %w", s.root, ErrReadOnly)
	}
	unlock, err := s.lock(lockWait)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot prune: %w", err)
	}
	defer unlock()
	b := briefs{s: s, made: make(map[string]record)}
	defer b.close()
	entries, problems, err := b.entries()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot prune incident store %s: %w", s.root, err)
	}
	problems = append(problems, s.finish(entries)...)
	room, err := s.Room()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot prune incident store: %w", err)
	}
	inodes := make(map[string]int64, len(entries))
	for _, e := range entries {
		inodes[e.ID] = e.Inodes
	}
	left := total(entries)
	for _, r := range policy.Plan(entries, room, now) {
		if err := s.do(r, now); err != nil {
			if !errors.Is(err, errPinned) {
				problems = append(problems, err.Error())
			}
			continue
		}
		left, room.Free = left-r.Bytes, room.Free+r.Bytes
		if r.Part == "" {
			room.FreeInodes += inodes[r.ID]
		} else {
			room.FreeInodes++
		}
		removed = append(removed, r)
	}
	if err := b.reindex(); err != nil {
		problems = append(problems, fmt.Sprintf("cannot write the index of %s: %v", s.root, err))
	}
	rest := plan{policy: policy, total: left, room: room}
	if why := rest.want(); why != "" {
		problems = append(problems, "nothing more may be removed, but "+why)
	}
	return removed, problems, nil
}

// Preview returns what Prune would remove now, and removes nothing.
func (s *Store) Preview(policy Policy, now time.Time) (planned []Removal, problems []string, err error) {
	b := briefs{s: s, made: make(map[string]record)}
	defer b.close()
	entries, problems, err := b.entries()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot look at incident store: %w", err)
	}
	room, err := s.Room()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot look at incident store: %w", err)
	}
	return policy.Plan(entries, room, now), problems, nil
}

// do removes an incident, or a file of one.
func (s *Store) do(r Removal, now time.Time) error {
	if r.Part != "" {
		return s.strip(r.ID, r, now)
	}
	return s.remove(r.ID)
}

// finish removes what a prune that was killed had written off already.
func (s *Store) finish(entries []Entry) (problems []string) {
	for _, e := range entries {
		for _, name := range e.leftovers {
			if err := removePart(s.path(e.ID), name); err != nil {
				problems = append(problems, fmt.Sprintf("cannot remove %s of incident %s: %v", name, e.ID, err))
			}
		}
	}
	return problems
}

// entries measures all incidents. What they say of themselves comes from the index
// where that is current; what they take is always looked at.
func (b *briefs) entries() (entries []Entry, problems []string, err error) {
	ids, problems, err := b.s.ids()
	if err != nil {
		return nil, nil, err
	}
	b.read()
	for _, id := range ids {
		entry, err := b.entry(id)
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

func (b *briefs) entry(id string) (Entry, error) {
	s := b.s
	m, err := measureDir(s.path(id))
	if err != nil {
		return Entry{}, err
	}
	keep := m.pinned || s.isActive(id)
	r, all, err := b.known(id)
	if errors.Is(err, ErrNotFound) {
		return Entry{}, err
	}
	if err != nil {
		// Evidence that cannot be read now may be read by another version:
		// a fingerprint of its own spares it as long as there is room.
		at, service, _ := parseID(id)
		return Entry{ID: id, Time: at, Service: service, Fingerprint: "unreadable:" + id, Bytes: m.bytes, Inodes: m.inodes, Keep: keep}, nil
	}
	if r != nil {
		if all = r.incident(); r.removed > 0 {
			if all, err = s.head(id); err != nil {
				return Entry{}, err
			}
		}
	}
	e := Entry{
		ID: id, Time: all.Time, Service: all.Service, Cause: all.Cause, Fingerprint: all.Fingerprint,
		Bytes: m.bytes, Inodes: m.inodes, Keep: keep || !finished(all.Status), leftovers: leftovers(all, m),
	}
	if !e.Keep && len(e.leftovers) == 0 {
		e.Parts = m.parts()
	}
	return e, nil
}

func finished(s snapshot.Status) bool {
	return s == snapshot.StatusComplete || s == snapshot.StatusPartial
}

func (s *Store) keeps(id string) bool { return s.Pinned(id) || s.isActive(id) }

// errPinned: somebody pinned it after the plan was made.
var errPinned = errors.New("it is pinned, or being written")

// mayTouch looks once more: between the plan and the act somebody may have pinned it.
func (s *Store) mayTouch(id string) error {
	if s.keeps(id) {
		return errPinned
	}
	return nil
}

// remove removes an incident. A process that is killed in between leaves a
// hidden directory, which Recover removes.
func (s *Store) remove(id string) error {
	hidden := s.path(prefixRemoved + id)
	err := s.mayTouch(id)
	if err == nil {
		err = os.RemoveAll(hidden) // of an earlier try
	}
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
