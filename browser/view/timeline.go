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
		stamp, text, ok := strings.Cut(strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD"), " ")
		at, err := time.Parse(time.RFC3339, stamp)
		if !ok || err != nil {
			continue
		}
		list = append(list, api.Moment{At: at.Sub(zero).Seconds(), Kind: "output", Text: text[:min(len(text), maxLine)]})
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
	return ""
}

// timeline is one that is being made.
type timeline api.Timeline

// column is one of the samples' columns.
type column struct {
	name, unit string
	measured   bool // null where /proc was not read
	value      func(i int, seconds float64) float64
}

// sample adds the series.
func (t *timeline) sample(s *snapshot.Samples, a axis) {
	every := s.Every.Duration().Seconds()
	if every <= 0 {
		every = 1
	}
	columns := []column{
		{"processor", "cores", true, func(i int, seconds float64) float64 { return float64(s.CPU[i]) / seconds }},
		{"memory", "bytes", true, func(i int, _ float64) float64 { return float64(s.Memory[i]) }},
		{"threads", "", true, func(i int, _ float64) float64 { return float64(s.Threads[i]) }},
		{"descriptors", "", true, func(i int, _ float64) float64 { return float64(s.Files[i]) }},
		{"beats", "per second", false, func(i int, seconds float64) float64 { return float64(s.Beats[i]) / seconds }},
		{"silence", "seconds", false, func(i int, _ float64) float64 { return float64(s.Silence[i]) }},
		{"output lines", "per second", false, func(i int, seconds float64) float64 { return float64(s.Lines[i]) / seconds }},
		{"output bytes", "per second", false, func(i int, seconds float64) float64 { return float64(s.Bytes[i]) / seconds }},
	}
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
			if c.measured && !s.Measured[i] {
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
	t.beats(s, a, every)
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

// beats makes one lane of the seconds with beats, and its gaps.
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
