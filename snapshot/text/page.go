package text

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Options say how to write.
type Options struct {
	Width int  // of the terminal in characters; 0: lines are neither cut nor wrapped
	Color bool // with ANSI colours
	All   bool // show also what is collapsed: idle and system goroutines, long lists
}

// A style is an ANSI graphic rendition (ECMA-48 SGR).
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	yellow style = "33"
	cyan   style = "36"
)

// page writes lines. It remembers the first error, and writes nothing after it.
type page struct {
	noun  string           // of what stacks are: "goroutine" or "thread"
	names map[int64]string // of threads
	w     *bufio.Writer
	opts  Options
	err   error
}

func newPage(w io.Writer, opts Options) *page {
	return &page{w: bufio.NewWriterSize(w, 64<<10), opts: opts}
}

// close writes what is buffered and returns the first error.
func (p *page) close() error {
	if err := p.w.Flush(); err != nil && p.err == nil {
		p.err = err
	}
	if p.err != nil {
		return fmt.Errorf("cannot write text: %w", p.err)
	}
	return nil
}

// raw writes one line that is clean already, in a style.
func (p *page) raw(indent int, how style, line string) {
	if p.err != nil {
		return
	}
	if how != plain && p.opts.Color && line != "" {
		line = "\x1b[" + string(how) + "m" + line + "\x1b[0m"
	}
	_, p.err = p.w.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+line, " ") + "\n")
}

// line writes one line as a whole, however long.
func (p *page) line(indent int, how style, format string, args ...any) {
	p.raw(indent, how, clean(fmt.Sprintf(format, args...)))
}

// short writes one line and cuts it at the width.
func (p *page) short(indent int, how style, format string, args ...any) {
	p.raw(indent, how, cut(clean(fmt.Sprintf(format, args...)), p.room(indent)))
}

// prose writes a sentence over as many lines as it needs.
func (p *page) prose(indent int, how style, format string, args ...any) {
	for _, line := range wrap(clean(fmt.Sprintf(format, args...)), p.room(indent)) {
		p.raw(indent, how, line)
	}
}

// fact writes a name and what it is, wrapped under itself.
func (p *page) fact(name, format string, args ...any) {
	const column = 13
	for i, line := range wrap(clean(fmt.Sprintf(format, args...)), p.room(2+column)) {
		if i > 0 {
			name = ""
		}
		p.raw(2, plain, fmt.Sprintf("%-*s%s", column, name, line))
	}
}

// heading begins a section.
func (p *page) heading(format string, args ...any) {
	p.raw(0, plain, "")
	p.line(0, bold, format, args...)
}

// room is what a line may hold after its indent; 0 means any length.
func (p *page) room(indent int) int {
	if p.opts.Width <= 0 {
		return 0
	}
	return max(20, p.opts.Width-indent)
}

// bound returns how many of n items are shown.
func (p *page) bound(n, limit int) int {
	if p.opts.All {
		return n
	}
	return min(n, limit)
}

// dropped says how many items are not shown.
func (p *page) dropped(indent, n int, noun string) {
	if n > 0 {
		p.line(indent, faint, "... %s more (--all shows them)", plural(n, noun))
	}
}
