package text

import (
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// card writes what is known of why, how sure that is, and where to look first. A
// fact that the sentence of the incident says already is not said again.
func (p *page) card(c *snapshot.Card, sentence string) {
	if c == nil || len(c.Evidence) == 0 {
		return
	}
	p.heading("What is known (%s: %s)", c.Confidence, c.Why)
	for _, f := range c.Evidence {
		if strings.Contains(sentence, f.Text) {
			continue
		}
		p.line(2, plain, "%s  [%s]", f.Text, f.Where)
	}
	if len(c.LookAt) > 0 {
		p.line(2, plain, "Look first at %s", strings.Join(c.LookAt, "; "))
	}
	if len(c.Not) > 0 {
		p.line(2, faint, "Not found: %s", strings.Join(c.Not, "; "))
	}
}
