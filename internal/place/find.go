package place

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// MaxFound bounds how many names Find looks at.
const MaxFound = 1000

// Find returns the places of all names that have a runtime or a state
// directory, the default one first, then by name; and the directory of runtime
// directories that was looked at. An overridden directory has no name: then the
// only place is the one of o. Nothing is created, and nothing says that they run.
// What cannot be read has no names, except for a /tmp that is not ours
// (ErrForeign).
func Find(o Options) (places []Place, looked string, err error) {
	first, err := Resolve(o)
	if err != nil {
		return nil, "", err
	}
	if o.runtimeOverride() != "" {
		return []Place{first}, first.Runtime, nil
	}
	runtime, _, err := runtimeBase(o)
	if err != nil {
		return nil, "", err
	}
	names := make(map[string]bool)
	if err := addNames(names, runtime); err != nil {
		return nil, runtime, err
	}
	if o.stateOverride() == "" {
		if err := addNames(names, filepath.Dir(first.State)); err != nil {
			return nil, runtime, err
		}
	}
	delete(names, first.Name)
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	sort.Strings(sorted)
	places = append(places, first)
	for _, name := range sorted {
		o.Name = name
		p, err := Resolve(o)
		if err != nil {
			return nil, runtime, err
		}
		places = append(places, p)
	}
	return places, runtime, nil
}

// addNames adds the directories in dir that could be instances.
func addNames(names map[string]bool, dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		return fmt.Errorf("cannot look for instances: %w", err)
	}
	defer f.Close()
	entries, err := f.ReadDir(MaxFound)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot look for instances in %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil {
			names[e.Name()] = true
		}
	}
	return nil
}
