package export

import (
	"fmt"
	"io"
	"time"

	"github.com/google/pprof/profile"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Pprof writes a profile of stacks: a sample for each group, its value the number
// of goroutines or threads; with labels for what they wait for and who made
// them. `go tool pprof` reads it.
func Pprof(w io.Writer, i snapshot.Incident, s snapshot.Stacks) error {
	noun := "goroutine"
	if s.Runtime != "go" {
		noun = "thread"
	}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: noun, Unit: "count"}},
		PeriodType: &profile.ValueType{Type: noun, Unit: "count"}, Period: 1,
		TimeNanos: i.Time.UnixNano(), DurationNanos: int64(time.Duration(float64(i.Uptime) * float64(time.Second))),
		Comments: []string{i.ID, i.Sentence},
	}
	b := builder{profile: p, functions: map[snapshot.Place]*profile.Location{}, names: map[string]*profile.Function{}}
	for _, g := range s.Groups {
		sample := &profile.Sample{Value: []int64{int64(g.Count)}, Label: map[string][]string{"state": {g.Status}}}
		if g.WaitReason != "" {
			sample.Label["wait_reason"] = []string{g.WaitReason}
		}
		if g.CreatedBy != nil {
			sample.Label["created_by"] = []string{g.CreatedBy.Function}
		}
		for _, f := range g.Frames {
			sample.Location = append(sample.Location, b.location(f.Place))
		}
		p.Sample = append(p.Sample, sample)
	}
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("cannot make a profile: %w", err)
	}
	return p.Write(w)
}

// builder numbers functions and places. There are no addresses in it: they mean
// something in one process only.
type builder struct {
	profile   *profile.Profile
	functions map[snapshot.Place]*profile.Location
	names     map[string]*profile.Function
}

func (b *builder) location(p snapshot.Place) *profile.Location {
	if l, ok := b.functions[p]; ok {
		return l
	}
	f, ok := b.names[p.Function+"\x00"+p.File]
	if !ok {
		f = &profile.Function{ID: uint64(len(b.profile.Function) + 1), Name: p.Function, SystemName: p.Function, Filename: p.File}
		b.names[p.Function+"\x00"+p.File] = f
		b.profile.Function = append(b.profile.Function, f)
	}
	l := &profile.Location{ID: uint64(len(b.profile.Location) + 1), Line: []profile.Line{{Function: f, Line: int64(p.Line)}}}
	b.functions[p] = l
	b.profile.Location = append(b.profile.Location, l)
	return l
}
