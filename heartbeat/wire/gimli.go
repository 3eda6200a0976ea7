package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
)

// The variables by which a program that is linked with libgimli finds its
// monitor.
const (
	// GimliFD holds the number of the descriptor of the heartbeat segment. The
	// library maps the first GimliSize bytes of it and closes it.
	GimliFD = "GIMLI_HB_FD"
	// GimliMonitor holds the pid of the monitor, for scripts that beat by signal:
	// the library itself speaks to its parent.
	GimliMonitor = "GIMLI_MONITOR_PID"
)

// The heartbeat segment of libgimli: two ints in the byte order of the machine,
// without a version or a magic.
//
//	0  i32  state
//	4  i32  ticks, raised by each beat; it may wrap
const (
	GimliSize = 8

	gimliState = 0
	gimliTicks = 4
)

// GimliState is what the program says that it does.
type GimliState int32

// The states.
const (
	GimliUnsupported GimliState = iota // it has not attached: nothing is watched
	GimliStarting
	GimliRunning
	GimliStopping
)

var gimliStates = [...]string{GimliUnsupported: "not attached", GimliStarting: "starting", GimliRunning: "running", GimliStopping: "stopping"}

// String returns the state in words, or its number.
func (s GimliState) String() string {
	if s >= 0 && int(s) < len(gimliStates) {
		return gimliStates[s]
	}
	return "state " + strconv.Itoa(int(s))
}

// ErrGimli says that bytes are no heartbeat segment: there are too few.
var ErrGimli = errors.New("wire: no heartbeat segment of libgimli")

// GimliBeat is the content of the segment. Any change of it is a sign of life;
// any bytes are a value, since the program may write what it likes.
type GimliBeat struct {
	State GimliState
	Ticks int32
}

// DecodeGimli reads the segment at the beginning of b.
func DecodeGimli(b []byte) (GimliBeat, error) {
	if len(b) < GimliSize {
		return GimliBeat{}, fmt.Errorf("cannot decode %d bytes: %w", len(b), ErrGimli)
	}
	return GimliBeat{
		State: GimliState(binary.NativeEndian.Uint32(b[gimliState:])), Ticks: int32(binary.NativeEndian.Uint32(b[gimliTicks:])),
	}, nil
}

// GimliWords is the segment in shared memory. The library writes it by plain
// stores of one int each, so the two halves may be of different beats; either
// is a change.
type GimliWords [GimliSize / 4]atomic.Int32

// Load reads what the program says.
func (w *GimliWords) Load() GimliBeat {
	return GimliBeat{State: GimliState(w[gimliState/4].Load()), Ticks: w[gimliTicks/4].Load()}
}

// Beat is the beat by signal: the state is running, and one tick more.
func (w *GimliWords) Beat() {
	w[gimliState/4].Store(int32(GimliRunning))
	w[gimliTicks/4].Add(1)
}
