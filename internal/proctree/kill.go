package proctree

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// maxRounds bounds Kill. A service that forks faster than /proc can be read for
// so long is reported, not chased for ever.
const maxRounds = 50

// roundWait is how long a round waits for the processes that it killed.
const roundWait = 200 * time.Millisecond

// execWait is the time between two looks at a process in execve(2).
const execWait = 2 * time.Millisecond

// ErrLeft is a service of which processes are left after the last round.
var ErrLeft = errors.New("proctree: processes are left")

// Kill kills all processes of the service that can be found, and those that
// show up meanwhile, until none is left. It returns how many it signalled. The
// error is ErrLeft after 50 rounds, or the cause of ctx. A process that is in the
// middle of execve(2) is waited for, until it shows whose it is. The caller, or whoever
// is the subreaper, must go on reaping: the dead are not waited for here.
func (s *Service) Kill(ctx context.Context) (killed int, err error) {
	for rounds := 0; rounds < maxRounds; {
		all, err := Scan()
		if err != nil {
			return killed, err
		}
		list := s.Update(all)
		if len(list) == 0 && !s.Unsettled() {
			return killed, nil
		}
		if len(list) == 0 {
			if err := pause(ctx); err != nil { // bounded by maxLooks
				return killed, err
			}
			continue
		}
		rounds++
		n, err := killAll(ctx, list)
		killed += n
		if err != nil {
			return killed, err
		}
	}
	return killed, fmt.Errorf("cannot kill all processes in %d rounds: %w", maxRounds, ErrLeft)
}

// pause lets a process go on with its execve(2), of whose end nobody tells.
func pause(ctx context.Context) error {
	t := time.NewTimer(execWait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// killAll stops all first, so that none can fork while the others are dealt
// with, then kills all and waits a moment for their end.
func killAll(ctx context.Context, list []Process) (n int, err error) {
	var held []int
	defer func() {
		for _, fd := range held {
			_ = unix.Close(fd) // a pidfd has nothing to flush
		}
	}()
	for _, p := range list {
		fd, openErr := hold(p)
		if openErr != nil {
			err = errors.Join(err, openErr)
		}
		if fd >= 0 {
			held = append(held, fd)
		}
	}
	for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
		for _, fd := range held {
			if e := unix.PidfdSendSignal(fd, sig, nil, 0); e != nil && !errors.Is(e, unix.ESRCH) {
				err = errors.Join(err, fmt.Errorf("cannot send %s: %w", unix.SignalName(sig), e))
			}
		}
	}
	if waitErr := waitAll(ctx, held); waitErr != nil {
		err = errors.Join(err, waitErr)
	}
	return len(held), err
}

// hold opens a pidfd of p, -1 when p is gone. The start time is read with the
// pidfd in hand: if it is p's, the pidfd is p's, for a pid that was reused
// before the opening shows another time, and one reused afterwards does too.
func hold(p Process) (fd int, err error) {
	fd, err = unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open pidfd of process %d: %w", p.PID, err)
	}
	if now, err := Read(p.PID); err != nil || now.Ticks != p.Ticks {
		_ = unix.Close(fd) // a pidfd has nothing to flush
		return -1, nil
	}
	return fd, nil
}

// waitAll waits until all are dead, but not longer than roundWait.
func waitAll(ctx context.Context, pidfds []int) error {
	end := time.Now().Add(roundWait)
	for _, fd := range pidfds {
		for {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			left := time.Until(end)
			if left <= 0 {
				return nil
			}
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, int(min(left, 50*time.Millisecond)/time.Millisecond)+1)
			if n == 1 || (err != nil && !errors.Is(err, unix.EINTR)) {
				break
			}
		}
	}
	return nil
}
