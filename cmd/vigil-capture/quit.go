package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// quitTime bounds the time in which a program prints its goroutines: 10,000 take
// four seconds, since each is written by itself.
const quitTime = 5 * time.Second

// quit has Go print its goroutines, which ends the program: the last way, for one
// that nobody may look into and that is ended anyway. The text is in its output.
func (f *freezing) quit(ctx context.Context, why error) {
	start := clock.Boot()
	for _, rung := range []string{snapshot.RungTwin, snapshot.RungCopy} {
		f.report.Freeze.Refused = append(f.report.Freeze.Refused, snapshot.Refusal{Rung: rung, Reason: why.Error()})
	}
	ctx, cancel := context.WithTimeout(ctx, quitTime)
	defer cancel()
	if err := quit(ctx, f.target.PID, f.target.StartTicks); err != nil {
		f.ran("sigquit", start, 0, err.Error(), "failed")
		return
	}
	f.report.Freeze.Method = snapshot.RungRuntime
	f.ran("sigquit", start, 0, "", "ok")
}

// quit sends SIGQUIT and waits for the end.
func quit(ctx context.Context, pid int, ticks uint64) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("cannot open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if ticks != 0 && !pidfd.Same(pid, ticks) {
		return fmt.Errorf("cannot send SIGQUIT: process %d is another by now", pid)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGQUIT, nil, 0); err != nil {
		return fmt.Errorf("cannot send SIGQUIT: %w", err)
	}
	for {
		end, _ := ctx.Deadline()
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(time.Until(end).Milliseconds(), 0)))
		switch {
		case n > 0:
			return nil
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("cannot wait for its end: %w", err)
		case ctx.Err() != nil:
			return fmt.Errorf("it did not end at SIGQUIT in time: what it had printed until then is in its output")
		}
	}
}
