package heartbeat

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Activity is one kind of work that is watched.
//
// It belongs to one goroutine at a time. If several use it, beats of theirs may
// count as one, and the state is the one that one of them asked for last: when
// each of them says Busy before its work and Idle after it, the last of them
// leaves it idle. Release is for the time when all of them are done with it.
type Activity struct {
	slot atomic.Pointer[wire.Words]
}

func newActivity(slot *wire.Words) *Activity {
	a := new(Activity)
	a.slot.Store(slot)
	return a
}

// Beat says that the work gets on, at the price of one store (about 3 ns). It
// does not change the state: an idle activity stays idle.
func (a *Activity) Beat() {
	pulse := &a.slot.Load()[wire.WordPulse]
	store(pulse, pulse.Load()+wire.OneBeat)
}

// Busy says that there is work: from now on the activity must beat within its
// timeout. It is a beat too, like every change of state.
func (a *Activity) Busy() { a.change(wire.Busy) }

// Idle says that there is nothing to do. An idle activity is healthy.
func (a *Activity) Idle() { a.change(wire.Idle) }

// Stopping says that the activity winds up because the program is about to end:
// it must beat on, within the time that the service has to stop.
func (a *Activity) Stopping() { a.change(wire.Stopping) }

func (a *Activity) change(to wire.SlotState) {
	pulse := &a.slot.Load()[wire.WordPulse]
	store(pulse, (pulse.Load()>>8+1)<<8|uint64(to))
}

// OnThread records the calling thread as the one that does the work, so that a
// verdict names it. It is for goroutines that have called
// runtime.LockOSThread: any other moves between threads, and vigil then finds
// it among the stacks that it takes.
func (a *Activity) OnThread() {
	s := wire.Slot{PID: uint32(unix.Getpid()), TID: uint32(unix.Gettid())}
	a.slot.Load()[wire.WordThread].Store(wire.EncodeSlot(s)[wire.WordThread])
}

// Release gives the slot back. The activity can be used afterwards, by whoever
// has not heard of it, but nobody watches it any more.
func (a *Activity) Release() {
	slot := a.slot.Swap(new(wire.Words))
	slot[wire.WordPulse].Store(uint64(wire.Free))
}
