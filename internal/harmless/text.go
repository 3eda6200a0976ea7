// Package harmless makes text of others fit for a terminal.
package harmless

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text writes what a terminal could obey (control characters, escape sequences,
// C1 codes) and what could change how the rest reads (bidirectional and
// zero-width characters) as escapes; a byte that is not UTF-8 becomes \xNN.
// own names the characters that are written otherwise, and how.
func Text(s string, own map[rune]string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		as, special := own[r]
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case special:
			b.WriteString(as)
		case strconv.IsPrint(r):
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

// isPlain reports whether s is printable ASCII, as nearly all text is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
