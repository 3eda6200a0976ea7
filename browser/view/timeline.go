package view

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxPoints bounds a series; more samples are thinned out evenly.
const maxPoints = 2000

// Timeline puts samples, moments and lines of output on one axis.
func Timeline(i *snapshot.Incident, moments []snapshot.Moment, samples *snapshot.Samples, output []byte) api.Timeline {
	out := api.Timeline{
		Zero: i.Time, Moments: []api.Moment{}, Series: []api.Series{}, At: []float64{}, Spans: []api.Span{},
		Activities: []api.ActivitySeries{}, Problems: []string{},
	}
	a := axisOf(i, moments)
	if n := len(moments) - api.MaxMoments; n > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("The first %d moments are left out.", n))
		moments = moments[n:]
	}
	for _, m := range moments {
		out.Moments = append(out.Moments, api.Moment{At: a.of(m.Boot, m.Time), Kind: m.Kind, Text: m.Text})
	}
	out.Spans = states(out.Moments)
	out.Moments = append(out.Moments, said(output, i.Time)...)
	slices.SortStableFunc(out.Moments, func(a, b api.Moment) int { return cmp.Compare(a.At, b.At) })
	switch err := check(samples); {
	case samples == nil:
		out.Problems = append(out.Problems, "There are no samples of the time before: the recorder was off, or the service too young.")
	case err != "":
		out.Problems = append(out.Problems, err)
	default:
		(*timeline)(&out).sample(samples, a)
	}
	out.From, out.To = extent(&out)
	return out
}

// maxSaid is how many lines of output a timeline has, the last ones.
const maxSaid = 500

// said makes moments of the last lines of output, by the time before each of them.
func said(output []byte, zero time.Time) (list []api.Moment) {
	for line := range bytes.Lines(output) {
		at, text, ok := stamped(strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD"), zero)
		if ok {
			list = append(list, api.Moment{At: at, Kind: "output", Text: text[:min(len(text), maxLine)]})
		}
	}
	return list[max(0, len(list)-maxSaid):]
}

// axis turns times into seconds from the verdict: by CLOCK_BOOTTIME when the
// verdict is among the moments, for the wall clock can have been set in between.
type axis struct {
	boot time.Duration
	wall time.Time
	has  bool
}

func axisOf(i *snapshot.Incident, moments []snapshot.Moment) axis {
	for n := len(moments) - 1; n >= 0; n-- {
		if moments[n].Kind == "verdict" {
			return axis{boot: moments[n].Boot, wall: i.Time, has: true}
		}
	}
	if n := len(moments); n > 0 { // the last moment tells how far the clocks are apart
		last := moments[n-1]
		return axis{boot: last.Boot - last.Time.Sub(i.Time), wall: i.Time, has: true}
	}
	return axis{wall: i.Time}
}

func (a axis) of(boot time.Duration, wall time.Time) float64 {
	if a.has {
		return (boot - a.boot).Seconds()
	}
	return wall.Sub(a.wall).Seconds()
}

// states makes spans of the moments that tell a state.
func states(moments []api.Moment) []api.Span {
	list := []api.Span{}
	for _, m := range moments {
		if m.Kind != "state" {
			continue
		}
		if n := len(list); n > 0 {
			list[n-1].To = m.At
		}
		name, why, _ := strings.Cut(m.Text, ":")
		list = append(list, api.Span{From: m.At, To: m.At, Kind: "state", Text: strings.TrimSpace(name + ": " + strings.TrimSpace(why))})
	}
	if n := len(list); n > 0 && len(moments) > 0 {
		list[n-1].To = moments[len(moments)-1].At
	}
	return list
}

// check says what is wrong with the shape of samples: they come from a file.
func check(s *snapshot.Samples) string {
	if s == nil {
		return ""
	}
	n := len(s.Boot)
	for _, l := range []int{len(s.Time), len(s.CPU), len(s.Memory), len(s.Threads), len(s.Files), len(s.Measured), len(s.Beats),
		len(s.Silence), len(s.Lines), len(s.Bytes), len(s.State), len(s.Probes)} {
		if l != n {
			return "The samples cannot be shown: their columns differ in length."
		}
	}
	for _, l := range []int{len(s.PressureMemory), len(s.PressureIO), len(s.Pressured)} {
		if l != len(s.PressureCPU) || l != 0 && l != n { // earlier versions kept none
			return "The samples cannot be shown: their columns of pressure differ in length."
		}
	}
	return ""
}

// timeline is one that is being made.
type timeline api.Timeline

// column is one of the samples' columns.
type column struct {
	name, unit string
	measured   []bool // null where it was not; nil: it always was
	value      func(i int, seconds float64) float64
}

// sample adds the series.
func (t *timeline) sample(s *snapshot.Samples, a axis) {
	every := s.Every.Duration().Seconds()
	if every <= 0 {
		every = 1
	}
	columns := []column{
		{"processor", "cores", s.Measured, func(i int, seconds float64) float64 { return float64(s.CPU[i]) / seconds }},
		{"memory", "bytes", s.Measured, func(i int, _ float64) float64 { return float64(s.Memory[i]) }},
		{"threads", "", s.Measured, func(i int, _ float64) float64 { return float64(s.Threads[i]) }},
		{"descriptors", "", s.Measured, func(i int, _ float64) float64 { return float64(s.Files[i]) }},
		{"beats", "per second", nil, func(i int, seconds float64) float64 { return float64(s.Beats[i]) / seconds }},
		{"silence", "seconds", nil, func(i int, _ float64) float64 { return float64(s.Silence[i]) }},
		{"output lines", "per second", nil, func(i int, seconds float64) float64 { return float64(s.Lines[i]) / seconds }},
		{"output bytes", "per second", nil, func(i int, seconds float64) float64 { return float64(s.Bytes[i]) / seconds }},
	}
	columns = append(columns, pressures(s)...)
	step := (len(s.Boot) + maxPoints - 1) / maxPoints
	if step > 1 {
		t.Problems = append(t.Problems, fmt.Sprintf("One of %d samples is shown.", step))
	}
	var at []int
	for i := 0; i < len(s.Boot); i += max(step, 1) {
		at = append(at, i)
		t.At = append(t.At, a.of(s.Boot[i], s.Time[i]))
	}
	last := -1 // the sample of /proc before this one
	seconds := make([]float64, len(s.Boot))
	for i := range s.Boot {
		seconds[i] = every
		if s.Measured[i] {
			if last >= 0 {
				seconds[i] = max((s.Boot[i] - s.Boot[last]).Seconds(), 0.001)
			}
			last = i
		}
	}
	for _, c := range columns {
		series := api.Series{Name: c.name, Unit: c.unit, Values: make([]*float64, len(at))}
		for n, i := range at {
			if c.measured != nil && !c.measured[i] {
				continue
			}
			length := every
			if c.name == "processor" {
				length = seconds[i]
			}
			v := c.value(i, length)
			series.Values[n] = &v
		}
		t.Series = append(t.Series, series)
	}
	for _, g := range s.Gaps {
		why := g.Reason
		if why == "" {
			why = "nobody looked"
		}
		t.Spans = append(t.Spans, api.Span{From: a.of(g.After, time.Time{}), To: a.of(g.Before, time.Time{}), Kind: "gap", Text: why})
	}
	t.probes(s, a)
	t.signs(s, a)
	if len(s.Signs) == 0 {
		t.beats(s, a, every)
	}
	if s.SignsLeftOut > 0 {
		t.Problems = append(t.Problems, fmt.Sprintf("%d further signs of life were not recorded: the recorder tells %d apart.", s.SignsLeftOut, len(s.Signs)))
	}
}

// pressures are the columns of an incident that has them.
func pressures(s *snapshot.Samples) (list []column) {
	if len(s.Pressured) == 0 {
		return nil
	}
	whose := " of the machine"
	if s.PressureOf == "service" {
		whose = ""
	}
	add := func(name string, values []float64) {
		list = append(list, column{name + " pressure" + whose, "share", s.Pressured, func(i int, _ float64) float64 { return values[i] }})
	}
	add("processor", s.PressureCPU)
	add("memory", s.PressureMemory)
	add("disk", s.PressureIO)
	return list
}

// probes makes spans of the times in which a probe failed.
func (t *timeline) probes(s *snapshot.Samples, a axis) {
	for i := range s.Probes {
		if s.Probes[i] != "failed" {
			continue
		}
		at := a.of(s.Boot[i], s.Time[i])
		n := len(t.Spans) - 1
		if n >= 0 && t.Spans[n].Kind == "probe" && t.Spans[n].Text == s.Probes[i] && at-t.Spans[n].To < 2.5 {
			t.Spans[n].To = at
			continue
		}
		t.Spans = append(t.Spans, api.Span{From: at - 1, To: at, Kind: "probe", Text: s.Probes[i]})
	}
}

// maxLanes bounds what a file can ask for.
const maxLanes = 64

// signs makes a lane of each sign of life.
func (t *timeline) signs(s *snapshot.Samples, a axis) {
	for _, sign := range s.Signs[:min(len(s.Signs), maxLanes)] {
		if len(sign.Marks) != len(s.Boot) || len(s.Boot) == 0 {
			t.Problems = append(t.Problems, "A sign of life cannot be shown: its marks are not as many as the samples.")
			continue
		}
		lane := api.ActivitySeries{Name: sign.Kind, Beats: []float64{}, Gaps: []api.Span{}}
		if sign.Name != sign.Kind {
			lane.Name += " " + sign.Name
		}
		var open *api.Span // of a silence that was judged late
		seen := a.of(s.Boot[0], s.Time[0])
		for i := range s.Boot {
			at := a.of(s.Boot[i], s.Time[i])
			switch {
			case sign.Marks[i] == snapshot.MarkSeen:
				lane.Beats = append(lane.Beats, at)
				seen, open = at, nil
			case sign.Marks[i] == snapshot.MarkLate && open == nil:
				lane.Gaps = append(lane.Gaps, api.Span{From: seen, Kind: "silence"})
				open = &lane.Gaps[len(lane.Gaps)-1]
				fallthrough
			case sign.Marks[i] == snapshot.MarkLate:
				open.To, open.Text = at, fmt.Sprintf("missed for %.0f s", at-open.From)
			}
		}
		if open != nil && open.To < 0 { // still missed when the last sample was taken, so until the verdict
			open.To, open.Text = 0, fmt.Sprintf("missed for %.0f s", -open.From)
		}
		t.Activities = append(t.Activities, lane)
	}
}

// beats makes one lane of the seconds with beats, and its gaps, for incidents of
// versions that did not tell signs apart.
func (t *timeline) beats(s *snapshot.Samples, a axis, every float64) {
	lane := api.ActivitySeries{Name: "beats", Beats: []float64{}, Gaps: []api.Span{}}
	for i := range s.Beats {
		at := a.of(s.Boot[i], s.Time[i])
		if s.Beats[i] > 0 {
			lane.Beats = append(lane.Beats, at)
			continue
		}
		if float64(s.Silence[i]) <= 2*every || len(lane.Beats) == 0 {
			continue
		}
		text := fmt.Sprintf("silent for %.1f s", float64(s.Silence[i]))
		if n := len(lane.Gaps) - 1; n >= 0 && at-lane.Gaps[n].To < 2.5*every {
			lane.Gaps[n].To, lane.Gaps[n].Text = at, text
			continue
		}
		lane.Gaps = append(lane.Gaps, api.Span{From: at - float64(s.Silence[i]), To: at, Kind: "silence", Text: text})
	}
	if len(lane.Beats) > 0 {
		t.Activities = append(t.Activities, lane)
	}
}

// extent is the axis from the first to the last thing on it.
func extent(t *api.Timeline) (from, to float64) {
	for _, m := range t.Moments {
		from, to = min(from, m.At), max(to, m.At)
	}
	for _, at := range t.At {
		from, to = min(from, at), max(to, at)
	}
	return from, to
}
