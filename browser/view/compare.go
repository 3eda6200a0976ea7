package view

import (
	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Compare holds the stacks of two incidents side by side.
func Compare(left, right *snapshot.Stacks) (c snapshot.Comparison, groups []api.ComparedGroup) {
	c = analyze.Compare(*left, *right)
	groups = []api.ComparedGroup{}
	for _, change := range c.Groups {
		s, at := right, change.RightGroup
		if at < 0 {
			s, at = left, change.LeftGroup
		}
		one := api.ComparedGroup{Frames: []api.Frame{}}
		if at >= 0 && at < len(s.Groups) {
			one.Frames, _ = frames(s.Groups[at].Frames, api.MaxFrames, nil)
		}
		groups = append(groups, one)
	}
	return c, groups
}
