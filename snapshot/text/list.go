package text

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// List writes one line per incident, in the order given, under a heading: ID
// TIME SERVICE CAUSE STATUS SIZE SENTENCE. With a width the sentence is cut,
// never the id. Nothing is written for no incident. The error is that of w.
func List(w io.Writer, incidents []snapshot.Incident, opts Options) error {
	if len(incidents) == 0 {
		return nil
	}
	p := newPage(w, opts)
	rows := [][]string{{"ID", "TIME", "SERVICE", "CAUSE", "STATUS", "SIZE", "SENTENCE"}}
	for _, i := range incidents {
		cause := string(i.Cause)
		if cause == "" {
			cause = "-"
		}
		rows = append(rows, []string{
			clean(i.ID), i.Time.UTC().Format("2006-01-02 15:04:05"), cut(clean(i.Service), 32), clean(cause),
			clean(string(i.Status)), size(i.Bytes), clean(i.Sentence),
		})
	}
	widths := make([]int, len(rows[0])-1)
	for _, row := range rows {
		for c := range widths {
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c]))
		}
	}
	used := 0
	for _, width := range widths {
		used += width + 2
	}
	for n, row := range rows {
		var b strings.Builder
		for c, width := range widths { // not by fmt: of ten thousand rows that is half of the time
			b.WriteString(row[c])
			b.WriteString(strings.Repeat(" ", width-utf8.RuneCountInString(row[c])+2))
		}
		sentence := row[len(widths)]
		if opts.Width > 0 {
			sentence = cut(sentence, max(20, opts.Width-used))
		}
		how := plain
		if n == 0 {
			how = bold
		}
		p.raw(0, how, strings.TrimRight(b.String()+sentence, " "))
	}
	return p.close()
}
