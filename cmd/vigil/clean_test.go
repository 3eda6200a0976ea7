package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzHarmless: a terminal finds nothing to obey, and plain text stays.
func FuzzHarmless(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07")
	f.Add("\xc2\x9b31m\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := harmless(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q became invalid %q", s, got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q became %q", s, got)
		}
		if harmless(got) != got {
			t.Errorf("%q is not stable", got)
		}
	})
}
