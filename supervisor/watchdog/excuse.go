package watchdog

import (
	"fmt"
	"time"
)

// ExcuseKind is what an excuse is good for.
type ExcuseKind uint8

// The kinds of excuses.
const (
	// None excuses nothing: a verdict stands.
	None ExcuseKind = iota
	// Grant gives all signs one more whole limit; a Guard counts them.
	Grant
	// Hold suspends all judging while it lasts; then whole limits begin.
	Hold
)

// String returns the word used in logs.
func (k ExcuseKind) String() string {
	switch k {
	case None:
		return "none"
	case Grant:
		return "grant"
	case Hold:
		return "hold"
	}
	return fmt.Sprintf("ExcuseKind(%d)", uint8(k))
}

// Excuse is why a service may be silent without being hung.
type Excuse struct {
	Name string     // one word, as in docs/liveness.md; "" for None
	Text string     // one sentence with the proof
	Kind ExcuseKind // what to do
}

// String is name and proof.
func (e Excuse) String() string {
	if e.Name == "" {
		return "no excuse"
	}
	return e.Name + ": " + e.Text
}

// How excuses are bounded.
const (
	// MaxGrants is how many limits in a row are granted to one instance. A
	// machine that is always overloaded must not hide a hang for ever.
	MaxGrants = 2
	// LookAgain is how often to look during a Hold whether it still holds.
	LookAgain = time.Second
)

// Judge returns the excuse that the facts prove: of the first rule that applies.
// It is asked before a verdict, and again every LookAgain during a Hold.
func Judge(f Facts) Excuse {
	for _, r := range excuses {
		if r.proven(&f) {
			return Excuse{Name: r.name, Text: r.sentence(&f), Kind: r.kind}
		}
	}
	return Excuse{}
}

// Guard counts what was granted to one instance. The zero value has granted
// nothing; a new instance gets a new one.
type Guard struct{ granted int }

// Decide bounds an excuse. Once MaxGrants were granted in a row a further one
// comes back as None, with the words for the verdict that now stands. It is to
// be asked once for all verdicts that one look brings.
func (g *Guard) Decide(e Excuse) Excuse {
	if e.Kind != Grant {
		return e
	}
	if g.granted >= MaxGrants {
		e.Kind = None
		e.Text += fmt.Sprintf("; no excuse any more: %d limits were granted for such reasons", g.granted)
		return e
	}
	g.granted++
	e.Text += fmt.Sprintf("; one more limit is granted (%d of %d)", g.granted, MaxGrants)
	return e
}

// Recovered forgets what was granted: every sign of the instance came again by
// itself. A recovery that only a Resume brought is none.
func (g *Guard) Recovered() { g.granted = 0 }
