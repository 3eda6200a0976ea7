package logs

import "bytes"

// splitter makes lines of the reads of one stream. Only an unfinished line
// takes memory, at most MaxLine.
type splitter struct {
	partial []byte // the line so far; nil between lines
	started stamp  // of its first byte
	skip    bool   // the line was cut: its rest is dropped
}

// piece is a line within a buffer that will be used again.
type piece struct {
	text []byte
	at   stamp
	cut  bool
}

// feed calls emit for every line that p completes or that gets too long.
func (s *splitter) feed(p []byte, now stamp, emit func(piece)) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		whole := end >= 0
		rest := p[len(p):]
		if whole {
			p, rest = p[:end], p[end+1:]
		}
		s.add(p, now, whole, emit)
		p = rest
	}
}

// add takes text without newline; whole says that one followed.
func (s *splitter) add(text []byte, now stamp, whole bool, emit func(piece)) {
	switch {
	case s.skip:
		s.skip = !whole
	case s.partial == nil && whole && len(text) <= MaxLine:
		emit(piece{text: text, at: now})
	case len(s.partial)+len(text) > MaxLine:
		if s.partial == nil {
			s.started = now
		}
		s.partial = append(s.partial, text[:MaxLine-len(s.partial)]...)
		emit(piece{text: s.partial, at: s.started, cut: true})
		s.partial, s.skip = nil, !whole
	default:
		if s.partial == nil {
			s.started = now
		}
		s.partial = append(s.partial, text...)
		if whole {
			emit(piece{text: s.partial, at: s.started})
			s.partial = nil
		}
	}
}

// finish ends the stream: what is left of a line is a line.
func (s *splitter) finish() (piece, bool) {
	p := piece{text: s.partial, at: s.started}
	ok := s.partial != nil
	s.partial, s.skip = nil, false
	return p, ok
}
