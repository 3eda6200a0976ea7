package rig

import (
	"slices"
	"time"
)

// Median returns the middle of the values; it sorts them.
func Median(d []time.Duration) time.Duration { return Quantile(d, 0.5) }

// Quantile returns the smallest value that a share q of all values does not
// exceed; it sorts them. 0 when there are none.
func Quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

// Milliseconds is d as a number for tables.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
