package order

import (
	"slices"
	"strings"
)

// Wish is an end that was asked for and has not begun.
type Wish string

// The wishes.
const (
	None    Wish = ""
	Stop    Wish = "stop"
	Restart Wish = "restart"
)

// Standing is what is true of one service. The zero value is one that is not
// wanted and does not run.
type Standing struct {
	State    string // in a word, for people
	Coming   bool   // wanted up, and not given up: it is ready, or will be, or will fail
	Ready    bool   // it serves
	Gone     bool   // no process of it is left
	Ending   bool   // its processes are on their way out
	Late     bool   // that takes longer than it may: nobody waits for it any more
	Down     Wish
	Instance uint64 // of its process, or of the last one
	// Beside holds, by the names in RestartWith, the instances that this one was
	// started beside. Of a name that is not in it nothing is known.
	Beside map[string]uint64
}

// serves reports whether others may be started on it.
func (s Standing) serves() bool { return s.Ready && s.Down == None }

// Waits are the services that one waits for, in their order; none: it does not
// wait.
type Waits []Blocker

// Blocker is a service that another one waits for.
type Blocker struct {
	Name  string
	State string
}

// String is "db (starting), cache (failed)".
func (w Waits) String() string {
	words := make([]string, len(w))
	for i, b := range w {
		if words[i] = b.Name; b.State != "" {
			words[i] += " (" + b.State + ")"
		}
	}
	return strings.Join(words, ", ")
}

// Names are those of the services.
func (w Waits) Names() []string {
	names := make([]string, len(w))
	for i, b := range w {
		names[i] = b.Name
	}
	return names
}

// Equal reports whether both say the same.
func (w Waits) Equal(other Waits) bool { return slices.Equal(w, other) }
