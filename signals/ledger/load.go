package ledger

import (
	"bytes"
	"errors"
	"maps"
	"slices"
)

// Read reads the newest entries that the files at path hold, at most
// DefaultEntries, oldest first, while somebody may write them. bad counts lines
// that are none.
func Read(path string) (list []Entry, bad int, err error) { return load(path, DefaultEntries) }

// load reads the newest entries of both files, ordered by Seq, and counts the
// lines that are none. The last state of an entry is the one that counts.
func load(path string, entries int) (list []Entry, bad int, err error) {
	f := file{path: path}
	old, oldErr := tail(f.old(), 2*maxFile)
	now, nowErr := tail(path, 2*maxFile)
	byID := map[uint64]Entry{}
	for _, text := range [][]byte{old, now} {
		for line := range bytes.Lines(text) {
			line = bytes.TrimRight(line, "\n")
			if len(line) == 0 {
				continue
			}
			e, err := decode(line)
			if err != nil {
				bad++
				continue
			}
			byID[e.Seq] = e
		}
	}
	ids := slices.Sorted(maps.Keys(byID))
	for _, id := range ids[max(0, len(ids)-entries):] {
		list = append(list, byID[id])
	}
	return list, bad, errors.Join(oldErr, nowErr)
}
