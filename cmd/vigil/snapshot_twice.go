package main

import (
	"fmt"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// compareSnapshots says of each service what has not moved between its two
// snapshots.
func (a *app) compareSnapshots(first, second []control.SnapshotResult) error {
	stores, err := a.stores()
	if err != nil {
		return err
	}
	read := func(id string) *snapshot.Stacks {
		s, id, err := find(stores, id)
		if err != nil {
			return nil
		}
		full, err := s.Load(id)
		if err != nil {
			return nil
		}
		return full.Stacks
	}
	for i, r := range second {
		if i >= len(first) || first[i].Incident == "" || r.Incident == "" {
			continue
		}
		before, after := read(first[i].Incident), read(r.Incident)
		if before == nil || after == nil {
			a.note("%s: the two snapshots cannot be compared: one has no stacks", r.Service)
			continue
		}
		fmt.Fprintf(a.out, "%s: %s\n", a.clean(a.out, r.Service), a.clean(a.out, analyze.Compare(*before, *after).Sentence))
		a.note("vigil incidents diff %s %s shows more", first[i].Incident, r.Incident)
	}
	return nil
}
