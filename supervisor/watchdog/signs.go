package watchdog

import (
	"errors"
	"slices"
	"time"
)

// MaxSigns is how many named signs one instance may have.
const MaxSigns = 1024

// ErrTooManySigns says that an instance has named more activities than are
// kept; the further ones are not watched.
var ErrTooManySigns = errors.New("watchdog: too many named beats")

// Signs are all signs of one instance: few, so that every call may walk them.
// The zero value is empty and ready to use. Owned by one goroutine.
type Signs struct{ list []*Sign }

// Get returns the sign of that name, or nil.
func (s *Signs) Get(name string) *Sign {
	for _, sign := range s.list {
		if sign.name == name {
			return sign
		}
	}
	return nil
}

// Add puts a new sign in; one of the same name is replaced.
func (s *Signs) Add(sign *Sign) error {
	if at := slices.IndexFunc(s.list, func(o *Sign) bool { return o.name == sign.name }); at >= 0 {
		s.list[at] = sign
		return nil
	}
	if len(s.list) >= MaxSigns {
		return ErrTooManySigns
	}
	s.list = append(s.list, sign)
	return nil
}

// Remove forgets the sign of that name.
func (s *Signs) Remove(name string) {
	s.list = slices.DeleteFunc(s.list, func(o *Sign) bool { return o.name == name })
}

// List says how every sign stands.
func (s *Signs) List(now time.Duration) []Standing {
	all := make([]Standing, 0, len(s.list))
	s.Marks(now, func(st Standing) { all = append(all, st) })
	return all
}

// All returns the signs in the order in which they were added; the slice is
// the caller's, the signs are not.
func (s *Signs) All() []*Sign { return slices.Clone(s.list) }

// Next returns the earliest time at which Check has something to say.
func (s *Signs) Next() (at time.Duration, ok bool) {
	for _, sign := range s.list {
		if t, _, has := sign.Next(); has && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Check judges all signs and returns the changes.
func (s *Signs) Check(now time.Duration) []Verdict {
	return s.collect(func(sign *Sign) (Verdict, bool) { return sign.Check(now) })
}

// Extend grants time to all signs and returns the recoveries.
func (s *Signs) Extend(now, d time.Duration) []Verdict {
	return s.collect(func(sign *Sign) (Verdict, bool) { return sign.Extend(now, d) })
}

// Suspend stops judging all signs.
func (s *Signs) Suspend() {
	for _, sign := range s.list {
		sign.Suspend()
	}
}

// Resume judges all signs again, each with its whole limit from now on.
func (s *Signs) Resume(now time.Duration) []Verdict {
	return s.collect(func(sign *Sign) (Verdict, bool) { return sign.Resume(now) })
}

func (s *Signs) collect(do func(*Sign) (Verdict, bool)) []Verdict {
	var all []Verdict
	for _, sign := range s.list {
		if v, changed := do(sign); changed {
			all = append(all, v)
		}
	}
	return all
}
