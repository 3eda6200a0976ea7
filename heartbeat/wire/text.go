package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanText returns s fit for one line of a terminal or a page: bytes that are
// no UTF-8, control characters and the invisible characters that reorder or
// break a line become U+FFFD, and the result is cut at a character so that it
// has at most limit bytes.
func CleanText(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return strings.Clone(s)
	}
	var b strings.Builder
	for _, r := range s {
		if hostile(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain says that s is printable ASCII, which is nearly always so.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// hostile characters could forge a line of a log or turn one around.
func hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
