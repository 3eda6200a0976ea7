package manager

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestJoinName(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string // empty: ErrName
	}{
		{[]string{"web", "3", "stdout"}, "web/3/stdout"},
		{[]string{"a:b", "c/d", "100%", "é x"}, "a%3Ab/c%2Fd/100%25/%C3%A9%20x"},
		{[]string{strings.Repeat("x", 255)}, strings.Repeat("x", 255)},
		{[]string{strings.Repeat("x", 256)}, ""},
		{[]string{strings.Repeat(":", 86)}, ""},
		{[]string{"a", ""}, ""},
		{nil, ""},
	} {
		got, err := JoinName(c.parts...)
		if got != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("JoinName(%.40q) = %q, %v", c.parts, got, err)
		}
	}
	for _, bad := range []string{"", "/", "a/", "%", "%3", "%3a", "%41", "a:b", "a b", "é", strings.Repeat("x", 256)} {
		if parts, err := SplitName(bad); !errors.Is(err, ErrName) {
			t.Errorf("SplitName(%q) = %q, %v", bad, parts, err)
		}
	}
}

// Whatever SplitName takes, JoinName makes again, and every name is one that
// systemd takes.
func FuzzSplitName(f *testing.F) {
	for _, seed := range []string{"web/3/stdout", "a%3Ab", "%", "%3", "%zz", "//", "x%00", "%41", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		parts, err := SplitName(name)
		if err != nil {
			return
		}
		if err := checkName(name); err != nil {
			t.Fatal(err)
		}
		if again, err := JoinName(parts...); err != nil || again != name {
			t.Fatalf("%q became %q became %q, %v", name, parts, again, err)
		}
	})
}

// Whatever JoinName takes comes back.
func FuzzJoinName(f *testing.F) {
	f.Add("web", "3", "stdout")
	f.Add("a:b", "c/d", "%3A\x00\xff")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		name, err := JoinName(a, b, c)
		if err != nil {
			return
		}
		if err := checkName(name); err != nil {
			t.Fatal(err)
		}
		if parts, err := SplitName(name); err != nil || !slices.Equal(parts, []string{a, b, c}) {
			t.Fatalf("%q came back as %q, %v", name, parts, err)
		}
	})
}
