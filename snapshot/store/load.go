package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Last is the reference of the newest incident.
const Last = "last"

// maxCandidates is how many ids the error of an ambiguous prefix names.
const maxCandidates = 5

// Full is an incident with all that its directory holds. What is not there is
// nil, and Problems says so.
type Full struct {
	Incident snapshot.Incident
	Stacks   *snapshot.Stacks
	Process  *snapshot.Process
	Timeline []snapshot.Moment
	Output   []byte   // raw bytes of the service
	Problems []string // sentences: which file is absent or cannot be read, and why
}

// Load reads an incident: its id, a prefix that only one id has, or Last. An
// unfinished one is read as far as it goes. A file that is absent or cannot be
// read is no error, see Full; without a manifest and without a marker there is
// no incident. Errors wrap ErrNotFound or ErrAmbiguous where that is the case.
func (s *Store) Load(ref string) (Full, error) {
	id, err := s.Resolve(ref)
	if err != nil {
		return Full{}, fmt.Errorf("cannot load incident %q: %w", ref, err)
	}
	incident, err := s.head(id)
	if err != nil {
		return Full{}, fmt.Errorf("cannot load incident %q: %w", ref, err)
	}
	full := Full{Incident: incident}
	full.load(s.path(id))
	if s.whole(incident) {
		return full, nil
	}
	// If it was pruned between our looks, then that is what there is to say.
	if incident, err = s.head(id); err != nil {
		return Full{}, fmt.Errorf("cannot load incident %q: %w", ref, err)
	}
	full = Full{Incident: incident}
	full.load(s.path(id))
	return full, nil
}

// whole says whether all files are there that a manifest lists.
func (s *Store) whole(i snapshot.Incident) bool {
	for _, f := range i.Files {
		if !isEvidence(f.Name) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(s.path(i.ID), f.Name)); errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

func (f *Full) load(dir string) {
	for _, r := range f.Incident.Removed {
		f.Problems = append(f.Problems, r.Sentence())
	}
	path := func(name string) string { return filepath.Join(dir, name) }

	var stacks snapshot.Stacks
	err := readJSON(path(snapshot.FileStacks), limitStacks, &stacks)
	if err == nil {
		err = checkSchema(path(snapshot.FileStacks), stacks.Schema)
	}
	if f.note(snapshot.FileStacks, err) {
		f.Stacks = &stacks
	}

	var process snapshot.Process
	err = readJSON(path(snapshot.FileProcess), limitProcess, &process)
	if err == nil {
		err = checkSchema(path(snapshot.FileProcess), process.Schema)
	}
	if f.note(snapshot.FileProcess, err) {
		f.Process = &process
	}

	var timeline []snapshot.Moment
	if f.note(snapshot.FileTimeline, readJSON(path(snapshot.FileTimeline), limitTimeline, &timeline)) {
		f.Timeline = timeline
	}

	output, skipped, err := readTail(path(snapshot.FileOutput), limitOutput)
	if f.note(snapshot.FileOutput, err) {
		f.Output = output
	}
	if skipped > 0 {
		f.Problems = append(f.Problems, fmt.Sprintf("%s: the first %d bytes are left out, the limit is %d.",
			snapshot.FileOutput, skipped, limitOutput))
	}
}

// note records why a file is not there, and reports whether it is.
func (f *Full) note(name string, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, fs.ErrNotExist):
		if _, told := f.Incident.RemovedFile(name); told {
			return false
		}
		f.Problems = append(f.Problems, fmt.Sprintf("There is no %s.", name))
	default:
		f.Problems = append(f.Problems, fmt.Sprintf("Cannot read %s: %v.", name, err))
	}
	return false
}

// Resolve returns the id that a reference means: an id, a prefix that only one
// id has, or Last.
func (s *Store) Resolve(ref string) (string, error) {
	if validID(ref) {
		// No listing for a whole id: it may be one of a hundred thousand.
		if info, err := os.Lstat(s.path(ref)); err == nil && info.IsDir() {
			return ref, nil
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	ids, _, err := s.ids()
	if err != nil {
		return "", err
	}
	if ref == Last && len(ids) > 0 {
		return ids[0], nil
	}
	var found []string
	for _, id := range ids {
		if ref != "" && strings.HasPrefix(id, ref) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", ErrNotFound
	case 1:
		return found[0], nil
	}
	more := ""
	if len(found) > maxCandidates {
		more = fmt.Sprintf(" and %d more", len(found)-maxCandidates)
		found = found[:maxCandidates]
	}
	return "", fmt.Errorf("%w: %s%s", ErrAmbiguous, strings.Join(found, ", "), more)
}

// Dir returns the directory of the incident that ref means, see Resolve.
func (s *Store) Dir(ref string) (string, error) {
	id, err := s.Resolve(ref)
	if err != nil {
		return "", fmt.Errorf("cannot find incident %q: %w", ref, err)
	}
	return s.path(id), nil
}
