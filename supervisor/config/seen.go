package config

// seen is what the files said about one service: where its keys stand, and
// which of them were refused. Keys are paths, as "restart.backoff.min"; "" is
// the service itself. A nil seen takes nothing and knows nothing.
type seen struct {
	places  map[string]place
	refused map[string]bool
}

func newSeen(at place) *seen {
	return &seen{places: map[string]place{"": at}, refused: map[string]bool{}}
}

func (s *seen) add(key string, at place) {
	if s != nil {
		s.places[key] = at
	}
}

func (s *seen) refuse(key string) {
	if s != nil {
		s.refused[key] = true
	}
}

// sound reports whether none of the keys has been refused: what is said about
// several keys makes no sense when one of them was.
func (s *seen) sound(keys ...string) bool {
	if s == nil {
		return true
	}
	for _, key := range keys {
		if s.refused[key] {
			return false
		}
	}
	return true
}

// has reports whether a key was given.
func (s *seen) has(key string) bool {
	if s == nil {
		return false
	}
	_, ok := s.places[key]
	return ok
}

// place is where a key stands, or the service itself.
func (s *seen) place(key string) place {
	if s == nil {
		return place{}
	}
	if p, ok := s.places[key]; ok {
		return p
	}
	return s.places[""]
}
