package capture

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Target names a process so that a reused pid is never touched.
type Target struct {
	PID        int
	StartTicks uint64 // field 22 of /proc/PID/stat; 0: Identify fills it in
	PIDFD      int    // an open pidfd of it; 0 or below: none is given
	_          struct{}
}

// Identify checks that the process lives and is the one that t names, and
// returns t with StartTicks filled in. Errors wrap ErrGone or ErrReused.
func (t Target) Identify() (Target, error) {
	if t.PIDFD > 0 {
		if err := unix.PidfdSendSignal(t.PIDFD, 0, nil, 0); errors.Is(err, unix.ESRCH) {
			return t, fmt.Errorf("cannot identify process %d by pidfd: %w", t.PID, ErrGone)
		} else if err != nil && !errors.Is(err, unix.EPERM) {
			return t, fmt.Errorf("cannot identify process %d by pidfd %d: %w", t.PID, t.PIDFD, err)
		}
	}
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", t.PID))
	if err != nil {
		return t, fmt.Errorf("cannot identify process %d: %v: %w", t.PID, err, ErrGone)
	}
	if t.StartTicks != 0 && st.startTicks != t.StartTicks {
		return t, fmt.Errorf("cannot identify process %d: it started at tick %d, not %d: %w", t.PID, st.startTicks, t.StartTicks, ErrReused)
	}
	t.StartTicks = st.startTicks
	return t, nil
}
