package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// clean makes text of others harmless for f if that is a terminal.
func (a *app) clean(f *os.File, s string) string {
	if !isTerminal(f) {
		return s
	}
	return harmless(s)
}

// harmless writes what a terminal could obey, and what could change how the
// rest reads (bidirectional and zero-width characters), as escapes. Line breaks
// and tabs stay.
func harmless(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n', r == '\t', strconv.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// harmlessCell is harmless for one cell of a table.
func harmlessCell(s string) string {
	return harmless(strings.NewReplacer("\n", " ", "\t", " ").Replace(s))
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
