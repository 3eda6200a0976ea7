package keeper

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// death is what waitid(2) said of one child: an end, a stop or a continue.
type death struct {
	adopted string // id of a child that is not the reaper's; its pid may be another's by now
	pid     int
	code    int32 // CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_STOPPED, CLD_CONTINUED
	sig     int   // the signal of a stop
	exit    protocol.Exit
}

// Codes of SIGCHLD, waitid(2).
const (
	cldExited    = 1
	cldKilled    = 2
	cldDumped    = 3
	cldStopped   = 5
	cldContinued = 6
)

func (d death) ended() bool { return d.code == cldExited || d.code == cldKilled || d.code == cldDumped }

// reap is the one place that reaps. It blocks a thread in waitid for any child,
// which costs the same as a pidfd for each and also sees orphans that the
// subreaper inherits, and stops. Without a child it waits for kick.
func reap(deaths chan<- death, kick <-chan struct{}, done <-chan struct{}) {
	for {
		d, err := waitAny()
		switch {
		case err == nil:
			select {
			case deaths <- d:
			case <-done:
				return
			}
		case errors.Is(err, unix.EINTR):
		default: // ECHILD: nothing to wait for until somebody is started
			select {
			case <-kick:
			case <-done:
				return
			}
		}
	}
}

// siginfo is the part of siginfo_t that waitid fills, 64-bit Linux.
type siginfo struct {
	signo, errno, code, _ int32
	pid                   int32
	uid                   uint32
	status                int32
	_                     [100]byte
}

func waitAny() (death, error) {
	var si siginfo
	var ru unix.Rusage
	err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&si)), unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED, &ru)
	if err != nil {
		return death{}, err
	}
	d := death{pid: int(si.pid), code: si.code, sig: int(si.status)}
	d.exit = protocol.Exit{
		Status: waitStatus(si.code, si.status), Boot: clock.Boot(),
		User: time.Duration(ru.Utime.Nano()), System: time.Duration(ru.Stime.Nano()),
		MaxRSS: ru.Maxrss << 10, Major: ru.Majflt, Vol: ru.Nvcsw, Invol: ru.Nivcsw,
	}
	return d, nil
}

// waitStatus makes the classic wait status of what waitid tells apart.
func waitStatus(code, status int32) uint32 {
	switch code {
	case cldExited:
		return uint32(status&0xff) << 8
	case cldDumped:
		return uint32(status&0x7f) | 0x80
	default:
		return uint32(status & 0x7f)
	}
}
