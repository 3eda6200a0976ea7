package signals

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The C libraries keep 32 and 33 for themselves, so SIGRTMIN is 34 to programs;
// SIGRTMAX is 64 (signal(7)).
const (
	realTimeMin = 34
	realTimeMax = 64
)

// Parse reads a signal as kill(1) does: by name with or without SIG, in either
// case (TERM, SIGTERM, sighup), RTMIN, RTMIN+3, RTMAX-1, or by number from 1 to
// 64.
func Parse(s string) (syscall.Signal, error) {
	if n, err := strconv.ParseUint(s, 10, 8); err == nil && n >= 1 && n <= realTimeMax {
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n := unix.SignalNum("SIG" + name); n != 0 {
		return n, nil
	}
	if n, ok := parseRealTime(name); ok {
		return n, nil
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}

// parseRealTime reads RTMIN, RTMIN+n, RTMAX-n, RTMAX.
func parseRealTime(name string) (syscall.Signal, bool) {
	for _, base := range []struct {
		name, sign string
		number     int
	}{{"RTMIN", "+", realTimeMin}, {"RTMAX", "-", realTimeMax}} {
		tail, ok := strings.CutPrefix(name, base.name)
		if !ok {
			continue
		}
		if tail == "" {
			return syscall.Signal(base.number), true
		}
		digits, ok := strings.CutPrefix(tail, base.sign)
		n, err := strconv.ParseUint(digits, 10, 8)
		if !ok || err != nil || n > realTimeMax-realTimeMin {
			return 0, false
		}
		if base.sign == "-" {
			return syscall.Signal(base.number - int(n)), true
		}
		return syscall.Signal(base.number + int(n)), true
	}
	return 0, false
}

// Name returns the name without SIG (TERM, RTMIN+3), or the number of a signal
// that has none. Parse reads it.
func Name(s syscall.Signal) string {
	switch {
	case s == realTimeMin:
		return "RTMIN"
	case s > realTimeMin && s <= realTimeMax:
		return fmt.Sprintf("RTMIN+%d", int(s)-realTimeMin)
	}
	if name := unix.SignalName(s); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(s))
}

// Names lists the names of all standard signals, in the order of their numbers.
func Names() []string {
	var names []string
	for s := syscall.Signal(1); s < 32; s++ {
		names = append(names, Name(s))
	}
	return names
}
