package intake

import (
	"encoding/binary"
	"syscall"

	"github.com/vigil-supervisor/vigil/signals"
)

// decode reads a siginfo_t of a 64-bit Linux: si_signo at byte 0, si_code at 8,
// si_pid at 16, si_uid at 20 (asm-generic/siginfo.h). ok is false when it tells
// of no signal.
func decode(b []byte) (r signals.Record, ok bool) {
	if len(b) < recordSize {
		return r, false
	}
	word := func(at int) int32 { return int32(binary.NativeEndian.Uint32(b[at:])) }
	sig := word(0)
	if sig < 1 || sig > 64 {
		return r, false
	}
	r = signals.Record{Signal: syscall.Signal(sig), Code: word(8), Count: 1}
	r.Sender = sender(r.Code, word(16), uint32(word(20)))
	return r, true
}

// sender tells what the kernel vouches for. A process may send to others any
// code below 0 but SI_TKILL, with a pid and uid of its choice; 0 and above are
// refused (do_rt_sigqueueinfo in kernel/signal.c). What the kernel itself sends
// has no such fields: a timer or a descriptor has others in their place.
func sender(code, pid int32, uid uint32) signals.Sender {
	switch {
	case code == signals.CodeUser, code == signals.CodeTKill:
		return signals.Sender{PID: max(int(pid), 0), UID: int(uid)}
	case code > 0:
		return signals.Sender{Command: signals.Kernel}
	}
	return signals.Sender{PID: max(int(pid), 0), UID: int(uid), Forged: true}
}
