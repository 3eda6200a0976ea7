package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot/text"
)

// isTerminal reports whether somebody looks at f.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// width returns the columns of a terminal, 0 when f is none or does not know.
func width(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// colored reports whether to colour what goes to standard output. NO_COLOR: no-color.org.
func (a *app) colored() bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(a.out)
}

func (a *app) textOptions(all bool) text.Options {
	return text.Options{Width: width(a.out), Color: a.colored(), All: all}
}

// paint colours text with an ANSI graphic rendition.
func (a *app) paint(sgr, s string) string {
	if sgr == "" || s == "" || !a.colored() {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}
