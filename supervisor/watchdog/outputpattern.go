package watchdog

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// MaxOutputPatterns is how many patterns one service may have.
const MaxOutputPatterns = 32

// maxPattern bounds a pattern, in bytes.
const maxPattern = 1 << 10

// OutputPattern is a regular expression (RE2) over lines of output, and what a
// line that matches it means.
type OutputPattern struct {
	Pattern        string
	Verdict        State // Suspect, Confirmed
	Stdout, Stderr bool  // where it is looked for
}

// OutputPatterns are the patterns of one service, ready for use. They are
// immutable, and any number of goroutines may use them.
type OutputPatterns struct{ all []outputPattern }

type outputPattern struct {
	OutputPattern
	expr     *regexp.Regexp
	literals [][]byte // a line that matches has one of them; none: nothing is known
	plain    bool     // and a line that has it matches
}

// NewOutputPatterns compiles patterns.
func NewOutputPatterns(patterns []OutputPattern) (*OutputPatterns, error) {
	if len(patterns) > MaxOutputPatterns {
		return nil, fmt.Errorf("watchdog: more than %d patterns", MaxOutputPatterns)
	}
	p := &OutputPatterns{}
	for _, from := range patterns {
		one, err := newOutputPattern(from)
		if err != nil {
			return nil, fmt.Errorf("cannot look for %q in output: %w", from.Pattern, err)
		}
		p.all = append(p.all, one)
	}
	return p, nil
}

func newOutputPattern(from OutputPattern) (outputPattern, error) {
	if err := CheckOutputPattern(from.Pattern); err != nil {
		return outputPattern{}, err
	}
	switch {
	case !from.Stdout && !from.Stderr:
		return outputPattern{}, errors.New("in no stream")
	case from.Verdict != Suspect && from.Verdict != Confirmed:
		return outputPattern{}, fmt.Errorf("no verdict is %v", from.Verdict)
	}
	expr := regexp.MustCompile(from.Pattern)
	p := outputPattern{OutputPattern: from, expr: expr, literals: requiredLiterals(from.Pattern)}
	whole, complete := expr.LiteralPrefix()
	p.plain = complete && len(p.literals) == 1 && whole == string(p.literals[0])
	return p, nil
}

// CheckOutputPattern says what is wrong with a pattern; nil: nothing is.
func CheckOutputPattern(pattern string) error {
	if len(pattern) > maxPattern {
		return fmt.Errorf("it has more than %d bytes", maxPattern)
	}
	expr, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	if expr.MatchString("") {
		return errors.New("it matches an empty line, so it matches every line")
	}
	return nil
}

// OutputMatch is a line that matches a pattern.
type OutputMatch struct {
	Pattern int    // its place in what NewOutputPatterns was given
	Line    string // at most maxExcerpt bytes of it, around the match
	Stderr  bool
	More    uint64        // lines that matched since the last one that was told
	At      time.Duration // when it was read, CLOCK_BOOTTIME
}

// OutputSigns judges by what was found in the output of one instance. Suspicions
// end after calm, for a line says only that something was once wrong.
// Owned by one goroutine.
type OutputSigns struct {
	patterns  *OutputPatterns
	signs     []outputSign
	suspended bool
}

type outputSign struct {
	state State
	last  time.Duration // the last line that was told; 0: none
	line  string
	lines uint64
}

// calm is how long no line must match until a suspicion is over.
const calm = time.Minute

// NewOutputSigns begins to judge a new instance.
func NewOutputSigns(p *OutputPatterns) *OutputSigns {
	return &OutputSigns{patterns: p, signs: make([]outputSign, len(p.all))}
}

// Observe takes a line that was found, and returns the change, if there is one.
func (o *OutputSigns) Observe(m OutputMatch) []Verdict {
	if m.Pattern < 0 || m.Pattern >= len(o.signs) {
		return nil
	}
	s, p := &o.signs[m.Pattern], o.patterns.all[m.Pattern]
	s.last, s.line, s.lines = max(s.last, m.At), m.Line, s.lines+m.More+1
	if o.suspended || s.state >= p.Verdict {
		return nil
	}
	text := o.text(m.Pattern)
	var all []Verdict
	for s.state < p.Verdict { // suspicion always comes first
		all = append(all, o.become(m.Pattern, s.state+1, m.At, text))
	}
	return all
}

func (o *OutputSigns) text(i int) string {
	return fmt.Sprintf("output: %q matches %q", o.signs[i].line, o.patterns.all[i].Pattern)
}

func (o *OutputSigns) become(i int, to State, at time.Duration, text string) Verdict {
	s := &o.signs[i]
	v := Verdict{Sign: o.name(i), From: s.state, To: to, At: at, Text: text, Cause: snapshot.CauseHang}
	s.state = to
	return v
}

func (o *OutputSigns) name(i int) string { return fmt.Sprintf("output %d", i+1) }

// Next returns when a suspicion may be over, or a verdict that was not carried
// out, for Check.
func (o *OutputSigns) Next() (at time.Duration, ok bool) {
	for _, s := range o.signs {
		if s.state != Healthy && !o.suspended && (!ok || s.last+calm < at) {
			at, ok = s.last+calm, true
		}
	}
	return at, ok
}

// Check ends what no line has said again for a while.
func (o *OutputSigns) Check(now time.Duration) []Verdict {
	var all []Verdict
	for i, s := range o.signs {
		if s.state != Healthy && !o.suspended && now >= s.last+calm {
			all = append(all, o.become(i, Healthy, now, fmt.Sprintf("no line matches %q for %s", o.patterns.all[i].Pattern, calm)))
		}
	}
	return all
}

// Suspend stops judging. Lines that come meanwhile are counted alone.
func (o *OutputSigns) Suspend() { o.suspended = true }

// Resume judges lines that come from now on.
func (o *OutputSigns) Resume(now time.Duration) []Verdict {
	o.suspended = false
	var all []Verdict
	for i, s := range o.signs {
		if s.state != Healthy {
			all = append(all, o.become(i, Healthy, now, "judged again from now on"))
		}
	}
	return all
}

// List returns what there is to say of each pattern at now. Its age is that of the
// last line that matched; 0: none has.
func (o *OutputSigns) List(now time.Duration) []Standing {
	var all []Standing
	for i, s := range o.signs {
		st := Standing{Name: o.patterns.all[i].Pattern, Kind: KindOutput, State: s.state, Suspended: o.suspended}
		if s.lines > 0 {
			st.Age = max(now-s.last, 0)
			st.Text = fmt.Sprintf("%d lines, the last %q", s.lines, s.line)
		}
		all = append(all, st)
	}
	return all
}
