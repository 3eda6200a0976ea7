package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of a report for a bug tracker: people read it.
const (
	markdownGroups = 10
	markdownFrames = 24
)

// Markdown writes what a bug report needs: the sentence, what ran, and the first
// groups of stacks. What comes from the program is in code blocks.
func Markdown(w io.Writer, i snapshot.Incident, s *snapshot.Stacks) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## %s: %s\n\n%s\n\n| | |\n|---|---|\n", cell(i.Service), cell(string(i.Cause)), block(i.Sentence))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "| %s | %s |\n", name, cell(value))
		}
	}
	row("incident", i.ID)
	row("time", i.Time.UTC().Format("2006-01-02 15:04:05.000 UTC"))
	row("uptime", i.Uptime.Duration().String())
	row("fingerprint", i.Fingerprint)
	if p := i.Program; p != nil {
		row("program", strings.TrimSpace(p.Path+" "+p.Module))
		row("runtime", strings.TrimSpace(p.Runtime+" "+p.GoVersion))
		row("build", p.BuildID)
		row("revision", p.Revision)
	}
	if f := i.Freeze; f != nil {
		row("capture", fmt.Sprintf("%s, stood still for %s", f.Method, f.Pause.Duration()))
	}
	for _, m := range i.Missing {
		row("missing", m)
	}
	if s != nil {
		groups(b, *s)
	}
	return b.Flush()
}

func groups(b *bufio.Writer, s snapshot.Stacks) {
	noun := "goroutines"
	if s.Runtime != "go" {
		noun = "threads"
	}
	fmt.Fprintf(b, "\n%d %s in %d groups\n", s.Total, noun, len(s.Groups))
	for n, g := range s.Groups {
		if n == markdownGroups {
			fmt.Fprintf(b, "\n%d groups more are in the incident.\n", len(s.Groups)-n)
			break
		}
		fmt.Fprintf(b, "\n%d %s, %s\n\n", g.Count, noun, cell(strings.TrimSpace(g.Status+" "+g.WaitReason)))
		for m, f := range g.Frames {
			if m == markdownFrames {
				fmt.Fprintf(b, "    ... %d frames more\n", len(g.Frames)-m)
				break
			}
			fmt.Fprintf(b, "    %s\n        %s:%d\n", oneLine(f.Function), oneLine(f.File), f.Line)
		}
	}
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// cell makes text harmless in a table, and everywhere else in Markdown and the
// HTML that it may hold.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "`", "'", "<", "&lt;", ">", "&gt;", "[", `\[`, "*", `\*`, "_", `\_`, "#", `\#`, "@", "@\u200b").Replace(oneLine(s))
}

// block is text on its own, as code.
func block(s string) string { return "    " + oneLine(s) }
