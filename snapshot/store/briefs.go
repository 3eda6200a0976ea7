package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// indexFrom is how many incidents are decoded before the index is worth reading,
// and how many it may be wrong about before it is worth writing.
const indexFrom = 32

// briefs finds what a list shows of incidents: in the index where that is current,
// else in the incidents.
type briefs struct {
	s       *Store
	root    *os.File // nil until the index was looked for
	records []record
	at      map[string]int    // in records, by id
	made    map[string]record // of those that were not in the index, see known
	decoded int
}

func (b *briefs) close() {
	if b.root != nil {
		_ = b.root.Close() // nothing was written
	}
}

// of returns what a list shows of an incident, or all, where it had to be decoded.
// The error is that of head.
func (b *briefs) of(id string) (incident snapshot.Incident, all bool, err error) {
	if b.decoded == indexFrom && b.root == nil {
		b.read()
	}
	if r, ok := b.current(id); ok {
		return r.incident(), false, nil
	}
	b.decoded++
	incident, err = b.s.head(id)
	return incident, true, err
}

// read reads the index. Without one all are decoded.
func (b *briefs) read() {
	root, err := os.OpenFile(b.s.root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return // the incidents will say what is wrong
	}
	b.root = root
	data, err := readFile(filepath.Join(b.s.root, fileIndex), limitIndex)
	if err != nil {
		return
	}
	if b.records, err = decodeIndex(data); err != nil {
		return
	}
	b.at = make(map[string]int, len(b.records))
	for n := range b.records {
		b.at[b.records[n].id] = n
	}
}

// current returns the record of an incident whose manifest has not changed since.
func (b *briefs) current(id string) (*record, bool) {
	n, ok := b.at[id]
	if !ok {
		return nil, false
	}
	r := &b.records[n]
	st, ok := b.stat(id)
	return r, ok && st == r.stamp
}

// stat looks at the manifest of an incident.
func (b *briefs) stat(id string) (stamp, bool) {
	var st unix.Stat_t
	err := unix.Fstatat(int(b.root.Fd()), id+"/"+snapshot.FileIncident, &st, unix.AT_SYMLINK_NOFOLLOW)
	return stampOf(&st), err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// known returns the record of a complete incident, by the index or by decoding it,
// and remembers what it decodes. all is the manifest where it was decoded.
func (b *briefs) known(id string) (r *record, all snapshot.Incident, err error) {
	if r, ok := b.current(id); ok {
		return r, all, nil
	}
	st, ok := b.stat(id)
	if all, err = b.s.head(id); err != nil {
		return nil, all, err
	}
	if made, fits := recordOf(&all, st); ok && fits {
		b.made[id] = made
	}
	return nil, all, nil
}

// reindex writes the index anew when it has become wrong about too many. Who calls
// it holds the lock.
func (b *briefs) reindex() error {
	s := b.s
	ids, _, err := s.ids()
	if err != nil {
		return err
	}
	if b.root == nil {
		return fmt.Errorf("cannot look at %s", s.root)
	}
	records := make([]record, 0, len(ids))
	kept := 0
	for _, id := range ids {
		if r, ok := b.current(id); ok {
			kept++
			records = append(records, *r)
		} else if r, ok := b.fresh(id); ok {
			records = append(records, r)
		}
	}
	// What it lacks, and what it has of incidents that are gone or changed.
	if wrong := len(records) - kept + len(b.records) - kept; wrong <= indexFrom {
		return nil
	}
	data := encodeIndex(records)
	if len(data) > limitIndex {
		return errors.New("the index would be too large")
	}
	return errors.Join(s.sweep(), atomicfile.Write(filepath.Join(s.root, fileIndex), data, filePerm))
}

// fresh makes a record of a complete incident. The stamp is taken before the
// manifest is read: should it be replaced in between, the record is never current.
func (b *briefs) fresh(id string) (record, bool) {
	st, ok := b.stat(id)
	if !ok {
		return record{}, false
	}
	if r, ok := b.made[id]; ok && r.stamp == st {
		return r, true
	}
	i, err := readManifest(filepath.Join(b.s.path(id), snapshot.FileIncident), id)
	if err != nil {
		return record{}, false
	}
	return recordOf(&i, st)
}

// sweep removes what a killed write of the index left.
func (s *Store) sweep() error {
	names, err := readNames(s.root)
	if err != nil {
		return err
	}
	for _, name := range slices.DeleteFunc(names, func(n string) bool { return !atomicfile.IsTemporary(n) }) {
		err = errors.Join(err, os.Remove(s.path(name)))
	}
	return err
}
