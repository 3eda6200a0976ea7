package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/signals"
)

// MaxDuration is the longest duration that a configuration may hold.
const MaxDuration = 365 * 24 * time.Hour

// ParseDuration reads Go's durations plus days: "500ms", "1h30m", "2d12h". It
// refuses negative ones and those over MaxDuration.
func ParseDuration(s string) (time.Duration, error) {
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("duration %q is negative", s)
	}
	var days float64
	rest := s
	if head, tail, ok := strings.Cut(s, "d"); ok {
		var err error
		if days, err = strconv.ParseFloat(head, 64); err != nil || !plainNumber(head) {
			return 0, badDuration(s)
		}
		rest = tail
	}
	var d time.Duration
	if rest != "" || s == "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil && hugeNumber(rest) {
			return 0, fmt.Errorf("duration %q is longer than 365d", s)
		}
		if err != nil || d < 0 || strings.ContainsAny(rest, "+-") {
			return 0, badDuration(s)
		}
	}
	if days > 365 || d > MaxDuration || d+time.Duration(days*float64(24*time.Hour)) > MaxDuration {
		return 0, fmt.Errorf("duration %q is longer than 365d", s)
	}
	return d + time.Duration(days*float64(24*time.Hour)), nil
}

func badDuration(s string) error {
	return fmt.Errorf("%q is not a duration like \"500ms\", \"30s\" or \"2d12h\"", s)
}

// hugeNumber reports whether s is a number and a unit that Go's durations cannot
// hold: time.ParseDuration calls it malformed.
func hugeNumber(s string) bool {
	number := strings.TrimRight(s, "hmsuµn")
	return number != s && len(number) > 6 && plainNumber(number)
}

func plainNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789.") == "" }

// ParseSize reads a number of bytes: "64MiB", "4GB", "0".
func ParseSize(s string) (int64, error) {
	units := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
		"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	name := strings.TrimSpace(s[len(digits):])
	unit, known := units[name]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case strings.HasPrefix(s, "-"):
		return 0, fmt.Errorf("size %q is negative", s)
	case digits != "" && known && (err != nil || n > math.MaxInt64/unit):
		return 0, fmt.Errorf("size %q is too large", s)
	case digits == "" || !known || (name == "" && n != 0):
		return 0, fmt.Errorf("%q is not a size like \"64MiB\" or \"4GB\" (units B KiB MiB GiB TiB KB MB GB TB)", s)
	}
	return n * unit, nil
}

// sizeWords writes a number of bytes as it is written in a configuration.
func sizeWords(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; n >= 1024 && n%1024 == 0 && i+1 < len(units); i++ {
		n /= 1024
	}
	return fmt.Sprintf("%d%s", n, units[i])
}

// ParseFree reads a share of the space ("10%") or a size ("5GiB").
func ParseFree(s string) (Free, error) {
	if !strings.HasSuffix(s, "%") {
		n, err := ParseSize(s)
		return Free{Bytes: n}, err
	}
	f, err := ParseShare(s)
	return Free{Percent: f}, err
}

// ParseShare reads a share ("5%") and returns its percents.
func ParseShare(s string) (float64, error) {
	head, isShare := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(head, 64)
	if err != nil || !isShare || !plainNumber(head) || f > 99 {
		return 0, fmt.Errorf("%q is not a share from 0%% to 99%%", s)
	}
	return f, nil
}

// ParseSignal reads a signal's name, with or without SIG: "TERM", "SIGUSR1",
// "RTMIN+3". Numbers are refused: they differ between architectures.
func ParseSignal(s string) (syscall.Signal, error) {
	n, err := signals.Parse(s)
	if err != nil || strings.ToUpper(s) != s || s[0] >= '0' && s[0] <= '9' {
		return 0, fmt.Errorf("unknown signal %q%s", s, suggest(strings.TrimPrefix(s, "SIG"), signals.Names()))
	}
	return n, nil
}

// SignalName returns the name without SIG, as it is written in a configuration.
func SignalName(s syscall.Signal) string { return signals.Name(s) }

func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._@-", rune(c))) {
			return false
		}
	}
	return true
}
