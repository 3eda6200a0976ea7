package main

import (
	"fmt"
	"time"
)

// span writes a length of time for people: two units at most, and no more
// precision than one can use: "0.4s", "42s", "3m12s", "2h5m", "12d4h".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-d)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return pair(d, time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "m")
	default:
		return pair(d, 24*time.Hour, "d", time.Hour, "h")
	}
}

func pair(d, large time.Duration, l string, small time.Duration, s string) string {
	if rest := d % large / small; rest > 0 {
		return fmt.Sprintf("%d%s%d%s", d/large, l, rest, s)
	}
	return fmt.Sprintf("%d%s", d/large, l)
}

// seconds converts a number of seconds of the API. Not a number, or one that
// does not fit, is 0.
func seconds(s float64) time.Duration {
	const most = float64(1<<62) / float64(time.Second)
	if !(s > -most && s < most) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// stamp writes a point in time for people, in UTC as everywhere in vigil.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// size writes bytes for people.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, "?KMGT"[unit])
}
