// Package clock reads the kernel clock that every decision of vigil is made with.
//
// CLOCK_BOOTTIME (Linux 2.6.39) goes on while the machine is suspended and is
// never set back, so a stored value is still true in a successor process; a
// serialised time.Time has lost its monotonic part and is not. The wall clock
// is for display alone.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boot returns the time since the machine booted, suspended time included.
// It has nanosecond resolution and costs one vDSO call.
func Boot() time.Duration {
	var ts unix.Timespec
	// clock_gettime(2) of a known clock into our own memory cannot fail on
	// any kernel that Go supports.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
