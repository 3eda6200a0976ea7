package store

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Part is a large file of an incident, which the rest can do without.
type Part struct {
	Name  string
	Bytes int64 // on disk
}

// minPart is what makes a file large: less is not worth a change of the manifest.
const minPart = 64 << 10

// partClass is when a part goes.
type partClass int

const (
	partMemory  partClass = iota // of the program, and its executable
	partBulk                     // of collectors
	partReading                  // by what an incident is read
)

func (p Part) class() partClass {
	switch p.Name {
	case snapshot.FileCore, snapshot.FileExe:
		return partMemory
	case snapshot.FileStacks, snapshot.FileProcess, snapshot.FileTimeline, snapshot.FileOutput:
		return partReading
	}
	return partBulk
}

func sortParts(list []Part) {
	slices.SortFunc(list, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
}
