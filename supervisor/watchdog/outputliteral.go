package watchdog

import (
	"regexp/syntax"
)

// Bounds of what is looked for before a regular expression is.
const (
	maxLiterals = 8
	minLiteral  = 2 // shorter ones are in every line
)

// requiredLiterals returns texts of which every match contains one; none if
// nothing of the kind is known, as with (?i). To search for a few texts costs a
// tenth of a nanosecond for each byte, to match an expression up to a hundred.
func requiredLiterals(pattern string) [][]byte {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	var all [][]byte
	for _, text := range required(tree.Simplify(), 0) {
		all = append(all, []byte(text))
	}
	return all
}

// maxDepth bounds the walk; the parser allows 1000.
const maxDepth = 100

func required(e *syntax.Regexp, depth int) []string {
	if depth > maxDepth {
		return nil
	}
	switch e.Op {
	case syntax.OpLiteral:
		if text := string(e.Rune); e.Flags&syntax.FoldCase == 0 && len(text) >= minLiteral {
			return []string{text}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(e.Sub[0], depth+1)
	case syntax.OpRepeat:
		if e.Min > 0 {
			return required(e.Sub[0], depth+1)
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range e.Sub {
			if texts := required(sub, depth+1); shortest(texts) > shortest(best) {
				best = texts
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range e.Sub {
			texts := required(sub, depth+1)
			if len(texts) == 0 || len(all)+len(texts) > maxLiterals {
				return nil
			}
			all = append(all, texts...)
		}
		return all
	}
	return nil
}

// shortest is the length of the shortest text; 0 for none.
func shortest(texts []string) int {
	n := 0
	for i, text := range texts {
		if i == 0 || len(text) < n {
			n = len(text)
		}
	}
	return n
}
