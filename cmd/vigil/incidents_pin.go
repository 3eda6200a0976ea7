package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/snapshot/bundle"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

func (a *app) incidentsPinCommand(pin bool) *cobra.Command {
	use, short, long := "pin ID...", "Keep incidents for good", "Keep incidents for good: no quota and no age removes a pinned one. May be repeated."
	if !pin {
		use, short, long = "unpin ID...", "Let incidents go again", "Let incidents go again when their time comes. May be repeated."
	}
	return &cobra.Command{
		Use: use, Short: short, Long: long, Example: "  vigil incidents pin last",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name an incident")
			}
			return nil
		},
		RunE: a.do(func(_ *cobra.Command, refs []string) error {
			for _, ref := range refs {
				if strings.HasSuffix(ref, bundleEnding) {
					return usagef("a bundle cannot be pinned: it is in no store")
				}
				s, id, err := a.findIncident(ref)
				if err == nil {
					err = writable(s, func(w *store.Store) error { return w.SetPinned(id, pin) })
				}
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// findIncident finds the incident that a reference means: in the stores, or in a
// bundle, which is unpacked until the command ends.
func (a *app) findIncident(ref string) (*store.Store, string, error) {
	if strings.HasSuffix(ref, bundleEnding) {
		b, err := bundle.Open(ref)
		if err != nil {
			return nil, "", err
		}
		a.atEnd = append(a.atEnd, func() { _ = b.Close() }) // a temporary directory
		return findLast([]*store.Store{b.Store})
	}
	stores, err := a.stores()
	if err != nil {
		return nil, "", err
	}
	return find(stores, ref)
}

// writable does something with a store that was opened for reading.
func writable(s *store.Store, do func(*store.Store) error) error {
	w, err := store.Open(filepath.Clean(s.Root()))
	if err != nil {
		return system(err)
	}
	if err = do(w); errors.Is(err, store.ErrNotFound) {
		return &exit{exitNothing, err}
	}
	return system(err)
}

// bundleEnding is how the name of a bundle ends.
const bundleEnding = ".tar.zst"
