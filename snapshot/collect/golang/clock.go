package golang

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// clock finds out when, in the runtime's own time, the process stood still. The
// runtime's nanotime is CLOCK_MONOTONIC; the distance of that to the wall clock
// is taken to be now what it was then.
func (r *reading) clock() {
	taken := r.opt.Taken
	if taken.IsZero() {
		info, err := os.Stat(r.opt.Core)
		if err != nil {
			return
		}
		taken = info.ModTime()
	}
	r.out.Taken = taken.UTC()
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	// A core of another boot, or of another machine, gives nonsense: no time then.
	if at := now.Nano() - time.Since(taken).Nanoseconds(); at > 0 {
		r.nanotime = at
	}
}
