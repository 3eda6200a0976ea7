package watchdog

import (
	"bytes"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what is looked at.
const (
	maxLook    = 8 << 10          // of a line
	maxExcerpt = 256              // of a line that matched, to be shown
	quiet      = 10 * time.Second // between two matches of a pattern that are told
	// maxMatching is how many bytes in a second are matched against expressions. A
	// line is matched only if it has the text that the expression needs, so this
	// is reached by floods of such lines, and by expressions that need none.
	maxMatching = 4 << 20
)

// OutputWatcher looks for patterns in the output of one instance, as it is read.
// It implements logs.Watcher. Feed and End belong to whoever holds the output's
// lock; Flush may be called by any goroutine.
type OutputWatcher struct {
	patterns *OutputPatterns
	deliver  func(OutputMatch)
	streams  [2]outputStream
	told     []outputTold // by pattern
	second   time.Duration
	matched  int // bytes in this second

	mu      sync.Mutex
	pending []OutputMatch // one of each pattern at most
	unseen  uint64
}

// outputStream is the line that is not complete yet.
type outputStream struct {
	line []byte // its first maxLook bytes
	open bool   // there is one
}

type outputTold struct {
	at   time.Duration
	ever bool
	more uint64
}

// Watch begins to look at a new instance. deliver gets what is found, from Flush.
func (p *OutputPatterns) Watch(deliver func(OutputMatch)) *OutputWatcher {
	return &OutputWatcher{patterns: p, deliver: deliver, told: make([]outputTold, len(p.all))}
}

// Unseen returns how many lines were not matched, since there were too many that
// could have: see maxMatching.
func (w *OutputWatcher) Unseen() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unseen
}

// Feed takes what was read at a time, in order. Nothing of p is kept.
func (w *OutputWatcher) Feed(stderr bool, p []byte, at time.Duration) {
	s := &w.streams[index(stderr)]
	if s.open {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.add(p)
			return
		}
		s.add(p[:end])
		w.body(stderr, s.line, at)
		s.reset()
		p = p[end+1:]
	}
	last := bytes.LastIndexByte(p, '\n')
	if rest := p[last+1:]; len(rest) > 0 {
		s.add(rest)
		s.open = true
	}
	if last >= 0 {
		w.body(stderr, p[:last], at)
	}
}

// End takes what is left of a line, at the end of a stream.
func (w *OutputWatcher) End(stderr bool, at time.Duration) {
	s := &w.streams[index(stderr)]
	if s.open {
		w.body(stderr, s.line, at)
	}
	s.reset()
}

func index(stderr bool) int {
	if stderr {
		return 1
	}
	return 0
}

func (s *outputStream) add(p []byte) {
	s.line = append(s.line, p[:min(len(p), maxLook-len(s.line))]...)
}

func (s *outputStream) reset() {
	s.open = false
	if s.line = s.line[:0]; cap(s.line) > 1<<10 {
		s.line = nil // most lines are short
	}
}

// body looks at whole lines, without the last newline.
func (w *OutputWatcher) body(stderr bool, p []byte, at time.Duration) {
	for i := range w.patterns.all {
		pattern := &w.patterns.all[i]
		if stderr && !pattern.Stderr || !stderr && !pattern.Stdout {
			continue
		}
		if len(pattern.literals) > 0 {
			w.search(i, pattern, stderr, p, at)
			continue
		}
		for line := range bytes.SplitSeq(p, newline) {
			w.line(i, pattern, stderr, line, at)
		}
	}
}

var newline = []byte{'\n'}

// search looks at the lines that have one of the texts that the pattern needs.
func (w *OutputWatcher) search(i int, pattern *outputPattern, stderr bool, p []byte, at time.Duration) {
	// found is the next place of each text; len(p): there is none.
	var found [maxLiterals]int
	for k, text := range pattern.literals {
		found[k] = from(p, 0, text)
	}
	for {
		next := len(p)
		for k := range pattern.literals {
			next = min(next, found[k])
		}
		if next == len(p) {
			return
		}
		begin := bytes.LastIndexByte(p[:next], '\n') + 1
		end := len(p)
		if n := bytes.IndexByte(p[next:], '\n'); n >= 0 {
			end = next + n
		}
		w.line(i, pattern, stderr, p[begin:end], at)
		for k, text := range pattern.literals {
			if found[k] < end {
				found[k] = from(p, end, text)
			}
		}
	}
}

func from(p []byte, at int, text []byte) int {
	if n := bytes.Index(p[at:], text); n >= 0 {
		return at + n
	}
	return len(p)
}

// line matches one line.
func (w *OutputWatcher) line(i int, pattern *outputPattern, stderr bool, line []byte, at time.Duration) {
	line = line[:min(len(line), maxLook)]
	var place []int
	if pattern.plain {
		n := bytes.Index(line, pattern.literals[0])
		if n < 0 {
			return // beyond what is looked at
		}
		place = []int{n, n + len(pattern.literals[0])}
	} else {
		if !w.may(len(line), at) {
			return
		}
		if place = pattern.expr.FindIndex(line); place == nil {
			return
		}
	}
	told := &w.told[i]
	if told.ever && at-told.at < quiet {
		told.more++
		return
	}
	m := OutputMatch{Pattern: i, Line: excerpt(line, place), Stderr: stderr, More: told.more, At: at}
	*told = outputTold{at: at, ever: true}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) < 2*len(w.told) {
		w.pending = append(w.pending, m)
	}
}

// may says whether a line may still be matched in this second.
func (w *OutputWatcher) may(n int, at time.Duration) bool {
	if at-w.second >= time.Second || w.matched == 0 {
		w.second, w.matched = at, 0
	}
	if w.matched+n > maxMatching {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unseen++
		return false
	}
	w.matched += n + 1
	return true
}

// excerpt is the part of a line around a match.
func excerpt(line []byte, place []int) string {
	if len(line) > maxExcerpt {
		begin := max(0, min(place[0]-maxExcerpt/4, len(line)-maxExcerpt))
		line = line[begin : begin+maxExcerpt]
	}
	text := strings.TrimRight(string(line), "\r")
	for len(text) > 0 && !utf8.RuneStart(text[0]) { // a cut character
		text = text[1:]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// Flush delivers what was found. It holds no lock meanwhile, so deliver may wait.
func (w *OutputWatcher) Flush() {
	w.mu.Lock()
	if len(w.pending) == 0 {
		w.mu.Unlock()
		return
	}
	found := w.pending
	w.pending = nil
	w.mu.Unlock()
	for _, m := range found {
		w.deliver(m)
	}
}
