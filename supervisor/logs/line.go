package logs

import "time"

// Stream says where a line came from.
type Stream uint8

// The streams of a service.
const (
	Stdout Stream = iota
	Stderr
	streams // how many there are
)

// String returns "stdout" or "stderr".
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// MaxLine is the longest line, in bytes, that tails and followers keep; the
// rest of a longer one is in the file only.
const MaxLine = 16 << 10

// Line is one line of output.
type Line struct {
	Text    string        // without the newline, otherwise as it came
	Wall    time.Time     // when its first byte was read, for display
	Boot    time.Duration // the same as CLOCK_BOOTTIME
	Stream  Stream
	Cut     bool // longer than MaxLine
	Partial bool // has no newline: not complete yet, or never
}

// stamp is the time of a read.
type stamp struct {
	wall int64 // nanoseconds since 1970
	boot time.Duration
}
