package view

import (
	"bytes"
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
)

const (
	defaultLines = 1000
	maxLine      = 16 << 10
)

// Output chooses lines. What is not UTF-8 is replaced.
func Output(text []byte, query string, offset, limit int) api.Output {
	out := api.Output{Lines: []api.OutputLine{}, Problems: []string{}}
	if limit <= 0 || limit > defaultLines {
		limit = defaultLines
	}
	want := strings.ToLower(query)
	cut := false
	for line := range bytes.Lines(text) {
		out.All++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > maxLine {
			line, cut = line[:maxLine], true
		}
		shown := strings.ToValidUTF8(string(line), "\uFFFD")
		if want != "" && !strings.Contains(strings.ToLower(shown), want) {
			continue
		}
		if out.Total++; out.Total > offset && len(out.Lines) < limit {
			out.Lines = append(out.Lines, api.OutputLine{Number: out.All, Text: shown})
		}
	}
	if cut {
		out.Problems = append(out.Problems, "Lines of more than 16 KiB are cut.")
	}
	return out
}
