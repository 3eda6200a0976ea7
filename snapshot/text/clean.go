package text

import (
	"strings"
	"unicode/utf8"

	"github.com/vigil-supervisor/vigil/internal/harmless"
)

// clean makes text from a target fit for a terminal, and one line of it. A tab
// is a space.
func clean(s string) string {
	return harmless.Text(s, map[rune]string{'\t': " ", '\n': `\n`, '\r': `\r`})
}

// cut shortens s to width characters and shows with an ellipsis that it did.
// A width of 0 or less does not bound.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	n := 0
	for i := range s {
		if n == width-1 {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// wrap breaks a sentence at spaces into lines of at most width characters. A
// word that is longer stands alone and is not cut.
func wrap(s string, width int) []string {
	words := strings.Fields(s)
	if width <= 0 || len(words) == 0 {
		return []string{s}
	}
	lines := []string{words[0]}
	length := utf8.RuneCountInString(words[0])
	for _, word := range words[1:] {
		n := utf8.RuneCountInString(word)
		if length+1+n > width {
			lines = append(lines, word)
			length = n
			continue
		}
		lines[len(lines)-1] += " " + word
		length += 1 + n
	}
	return lines
}
