package conclude

import (
	"slices"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Merge puts what the capture did into the manifest.
func (e Evidence) Merge(i *snapshot.Incident) {
	if c := e.Capture; c != nil {
		if c.Freeze.Method != "" {
			freeze := c.Freeze
			i.Freeze = &freeze
		}
		if c.Program.Path != "" {
			program := c.Program
			i.Program = &program
		}
		i.Ran = append(i.Ran, c.Ran...)
		for _, m := range c.Missing {
			Missing(i, m)
		}
	}
	for _, p := range e.Problems {
		Missing(i, p)
	}
}

// Missing adds a sentence, once.
func Missing(i *snapshot.Incident, sentence string) {
	if !slices.Contains(i.Missing, sentence) {
		i.Missing = append(i.Missing, sentence)
	}
}

// Conclude draws the conclusions: the sentence, from what the supervisor saw
// and what the stacks prove, and the fingerprint.
func (e Evidence) Conclude(i *snapshot.Incident, verdict string) {
	i.Sentence = analyze.Sentence(i.Cause, verdict, e.Stacks)
	i.Fingerprint = analyze.Fingerprint(i.Cause, e.Stacks)
}
