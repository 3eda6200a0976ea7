package golang

import (
	"slices"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of labels.
const (
	maxLabels     = 16 // of one goroutine
	maxLabelText  = 128
	maxLabelLists = 4096 // different sets of labels that are kept
)

// labelsOf reads the profiler's labels of a goroutine, secrets masked. Since Go
// 1.24 runtime/pprof keeps them as a list of pairs of strings; of older programs
// only the sample of a group has its labels, which Delve reads.
func (l *listing) labelsOf(g gState) []string {
	if g.labels == 0 || !l.atLeast(24) {
		return nil
	}
	if known, ok := l.labels[g.labels]; ok {
		return known
	}
	base, n := l.mem.word(g.labels), l.mem.word(g.labels+8)
	var list []string
	for i := range min(n, maxLabels) {
		at := base + i*32
		if name := l.mem.text(at, maxLabelText); name != "" {
			list = append(list, labelText(name, l.mem.text(at+16, maxLabelText)))
		}
	}
	slices.Sort(list)
	if len(l.labels) < maxLabelLists {
		l.labels[g.labels] = list
	}
	return list
}

func labelText(name, value string) string {
	value, _ = snapshot.MaskValue(name, value)
	return name + "=" + value
}
