package analyze

import (
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// stackLines is the identity of a stack within one build: functions and lines,
// no addresses.
func stackLines(frames []snapshot.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		b.WriteString(f.Function)
		if f.Line != 0 {
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(f.Line))
		}
		if f.Function == "" { // nothing else is known of it
			b.WriteString(strconv.FormatUint(f.PC, 16))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// stackFunctions is the identity of a stack across builds: functions only.
func stackFunctions(frames []snapshot.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		b.WriteString(f.Function)
		b.WriteByte('\n')
	}
	return b.String()
}

// wherePlace is where a stack stands in the program's own code, else its
// innermost frame.
func wherePlace(frames []snapshot.Frame) snapshot.Place {
	if f, ok := OwnFrame(frames); ok {
		return f.Place
	}
	for _, f := range frames {
		if f.Function != "" {
			return f.Place
		}
	}
	return snapshot.Place{}
}
