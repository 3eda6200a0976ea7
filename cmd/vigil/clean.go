package main

import (
	"os"
	"strings"

	escape "github.com/vigil-supervisor/vigil/internal/harmless"
)

// clean makes text of others harmless for f if that is a terminal.
func (a *app) clean(f *os.File, s string) string {
	if !isTerminal(f) {
		return s
	}
	return harmless(s)
}

// harmless is s fit for a terminal. Line breaks and tabs stay.
func harmless(s string) string { return escape.Text(s, map[rune]string{'\n': "\n", '\t': "\t"}) }

// harmlessCell is harmless for one cell of a table.
func harmlessCell(s string) string {
	return harmless(strings.NewReplacer("\n", " ", "\t", " ").Replace(s))
}
