package lifecycle

import "fmt"

// State is where a service is in its life. The same words stand in API, CLI and
// configuration.
type State uint8

// The states.
const (
	Stopped  State = iota // nothing runs, nothing is wanted
	Waiting               // wanted, and held back until others are ready
	Starting              // started, or about to be; not ready yet
	Running               // up
	Suspect               // up, but a sign of life is late
	Freezing              // found dead or stuck; evidence is being taken
	Stopping              // its tree is being ended
	Backoff               // ended; the next start has a time
	Failed                // the policy gave up
	stateCount
)

var stateNames = [stateCount]string{"stopped", "waiting", "starting", "running", "suspect", "freezing", "stopping", "backoff", "failed"}

// States lists all states.
func States() []State {
	out := make([]State, stateCount)
	for i := range out {
		out[i] = State(i)
	}
	return out
}

func (s State) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return fmt.Sprintf("state-%d", uint8(s))
}

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseState returns the state of that name.
func ParseState(name string) (State, error) {
	for i, n := range stateNames {
		if n == name {
			return State(i), nil
		}
	}
	return Stopped, fmt.Errorf("cannot parse state %q: not one of %v", name, stateNames)
}

// UnmarshalText reads the name; s is unchanged when there is none such.
func (s *State) UnmarshalText(b []byte) error {
	st, err := ParseState(string(b))
	if err == nil {
		*s = st
	}
	return err
}

// Final reports whether nothing moves any more without being asked.
func (s State) Final() bool { return s == Stopped || s == Failed }
