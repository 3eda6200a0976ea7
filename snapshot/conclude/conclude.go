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
	if e.Process != nil {
		i.Masked = append(i.Masked, e.Process.Masked...)
	}
	if e.Stacks != nil {
		i.Masked = append(i.Masked, maskedVariables(*e.Stacks)...)
	}
	for _, p := range e.Problems {
		Missing(i, p)
	}
}

// maskedVariables counts the variables that are not shown.
func maskedVariables(s snapshot.Stacks) (list []snapshot.Masked) {
	for _, g := range s.Groups {
		for _, f := range g.Frames {
			for _, v := range slices.Concat(f.Arguments, f.Locals) {
				if v.Masked {
					list = snapshot.AddMasked(list, "variables", v.Name, snapshot.RuleName)
				}
			}
		}
	}
	return list
}

// Missing adds a sentence, once.
func Missing(i *snapshot.Incident, sentence string) {
	if !slices.Contains(i.Missing, sentence) {
		i.Missing = append(i.Missing, sentence)
	}
}

// Conclude draws the conclusions: the sentence, from what the supervisor saw
// and what the stacks prove, the fingerprint, and the verdict card.
func (e Evidence) Conclude(i *snapshot.Incident, verdict string) {
	i.Sentence = analyze.Sentence(i.Cause, verdict, e.Stacks)
	i.Fingerprint = analyze.Fingerprint(i.Cause, e.Stacks)
	card := analyze.Card(analyze.Case{Incident: *i, Stacks: e.Stacks, Process: e.Process, Suspect: e.Suspect, World: e.World})
	i.Card = &card
}
