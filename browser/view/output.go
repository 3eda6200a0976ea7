package view

import (
	"bytes"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
)

const (
	defaultLines = 1000
	maxLine      = 16 << 10
)

// OutputQuery chooses lines. The zero value chooses the first of all.
type OutputQuery struct {
	Text          string
	From, To      *float64 // seconds from the verdict; nil: no bound
	Offset, Limit int
}

// Output chooses lines; zero is the time of the verdict. What is not UTF-8 is
// replaced. A line without a time has that of the line before it.
func Output(text []byte, zero time.Time, q OutputQuery) api.Output {
	out := api.Output{Lines: []api.OutputLine{}, Problems: []string{}}
	if q.Limit <= 0 || q.Limit > defaultLines {
		q.Limit = defaultLines
	}
	want := strings.ToLower(q.Text)
	cut := false
	var at *float64
	for line := range bytes.Lines(text) {
		out.All++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > maxLine {
			line, cut = line[:maxLine], true
		}
		shown := strings.ToValidUTF8(string(line), "\uFFFD")
		if when, _, ok := stamped(shown, zero); ok {
			at = &when
		}
		if !q.within(at) || want != "" && !strings.Contains(strings.ToLower(shown), want) {
			continue
		}
		if out.Total++; out.Total > q.Offset && len(out.Lines) < q.Limit {
			out.Lines = append(out.Lines, api.OutputLine{Number: out.All, Text: shown, At: at})
		}
	}
	if cut {
		out.Problems = append(out.Problems, "Lines of more than 16 KiB are cut.")
	}
	return out
}

// within reports whether a line of that time is asked for.
func (q OutputQuery) within(at *float64) bool {
	if q.From == nil && q.To == nil {
		return true
	}
	return at != nil && (q.From == nil || *at >= *q.From) && (q.To == nil || *at <= *q.To)
}

// stamped cuts the time off that vigil puts before a line of output.
func stamped(line string, zero time.Time) (at float64, text string, ok bool) {
	stamp, text, ok := strings.Cut(line, " ")
	when, err := time.Parse(time.RFC3339, stamp)
	if !ok || err != nil {
		return 0, line, false
	}
	return when.Sub(zero).Seconds(), text, true
}
