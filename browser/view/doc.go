// Package view makes what the pages show from the data model of an incident: pure
// functions, bounded in what they return. Texts come out as they are in the
// incident; who shows them must take them for hostile.
package view

import (
	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Noun is what is counted in stacks.
func Noun(s *snapshot.Stacks) string {
	if s == nil || s.Runtime == "go" || s.Runtime == "" {
		return "goroutine"
	}
	return "thread"
}

// none makes an empty list of a nil one: pages find a list.
func none[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// frames turns frames into those of a list, at most limit.
func frames(from []snapshot.Frame, limit int, link func(snapshot.Place) string) (list []api.Frame, cut bool) {
	list = make([]api.Frame, 0, min(len(from), limit))
	for _, f := range from {
		if len(list) == limit {
			return list, true
		}
		list = append(list, frame(f, link))
	}
	return list, false
}

func frame(f snapshot.Frame, link func(snapshot.Place) string) api.Frame {
	out := api.Frame{Place: f.Place, Inlined: f.Inlined}
	_, out.Own = analyze.OwnFrame([]snapshot.Frame{f})
	out.Runtime = !out.Own
	if link != nil && out.Own {
		out.Link = link(f.Place)
	}
	return out
}
