package proctask

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of a Pattern.
const (
	maxPattern      = 256
	maxAlternatives = 16
)

// Pattern is alternatives of globs over names of threads, parted by bars:
// "ProcessThread*|FollowerRequest*". In a glob * stands for any bytes and ? for
// one; everything else, brackets too, stands for itself. The zero Pattern matches
// nothing.
type Pattern struct {
	text  string
	globs []string
}

// ParsePattern reads a pattern, and refuses one of which a part can never match.
func ParsePattern(text string) (Pattern, error) {
	p, err := parsePattern(text)
	if err != nil {
		return Pattern{}, fmt.Errorf("cannot use %q as names of threads: %w", text, err)
	}
	return p, nil
}

// CheckPattern says what is wrong with a pattern, and what to write instead
// where that is known; nil: nothing is.
func CheckPattern(text string) error {
	_, err := parsePattern(text)
	return err
}

func parsePattern(text string) (Pattern, error) {
	switch {
	case text == "":
		return Pattern{}, errors.New("it is empty")
	case len(text) > maxPattern:
		return Pattern{}, fmt.Errorf("it has more than %d bytes", maxPattern)
	}
	globs := strings.Split(text, "|")
	if len(globs) > maxAlternatives {
		return Pattern{}, fmt.Errorf("it has more than %d alternatives", maxAlternatives)
	}
	for i, glob := range globs {
		if err := checkGlob(glob); err != nil {
			return Pattern{}, err
		}
		for _, other := range globs[:i] {
			if glob == other {
				return Pattern{}, fmt.Errorf("%q is there twice", glob)
			}
		}
	}
	return Pattern{text: text, globs: globs}, nil
}

func checkGlob(glob string) error {
	if glob == "" {
		return errors.New("an alternative is empty")
	}
	least := 0 // bytes that a name needs
	for i := range len(glob) {
		switch c := glob[i]; {
		case c < ' ' || c == 0x7f:
			return errors.New("it has a control character")
		case c != '*':
			least++
		}
	}
	if strings.TrimSpace(glob) != glob {
		return fmt.Errorf("%q begins or ends with a blank", glob)
	}
	if least <= CommSize {
		return nil
	}
	why := fmt.Sprintf("%q can never match: the kernel keeps %d bytes of a thread's name", glob, CommSize)
	if start, _, _ := strings.Cut(glob, "*"); len(start) > CommSize {
		why += fmt.Sprintf("; write %q", start[:CommSize])
	}
	return errors.New(why)
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Match says that a name is one of those meant.
func (p Pattern) Match(comm string) bool {
	for _, glob := range p.globs {
		if matchGlob(glob, comm) {
			return true
		}
	}
	return false
}

// matchGlob walks both from left to right. After a mismatch it lets the last *
// take one byte more, so it needs at most len(glob) times len(name) steps.
func matchGlob(glob, name string) bool {
	g, n := 0, 0
	star, from := -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, from = g, n
			g++
		case g < len(glob) && (glob[g] == '?' || glob[g] == name[n]):
			g++
			n++
		case star >= 0:
			from++
			g, n = star+1, from
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
