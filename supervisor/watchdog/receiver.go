package watchdog

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/clock"
)

// Event is one datagram, judged.
type Event struct {
	// Message is what the service said; empty when Refused is set.
	Message wire.Message
	// Refused says in plain words why the datagram counts for nothing: the
	// sender is a stranger, or the bytes are no message. Empty: accepted.
	Refused string
	// At is CLOCK_BOOTTIME at the receipt. A datagram may have waited in the
	// socket before, while nobody read.
	At time.Duration
	// PID, UID and GID are the sender's as the kernel attests them; root may
	// claim other ones. PID is 0 when it cannot be seen from our namespace.
	PID      int
	UID, GID uint32
	// Closed counts the descriptors that came along and were closed at once.
	Closed int
	// Lost says that the kernel discarded descriptors that came along, because
	// this process may open no more (RLIMIT_NOFILE).
	Lost bool
	// Done is to be called once, when the event and all before it have been
	// acted on; it ends the wait of a sender of BARRIER=1. Never nil. Safe
	// from every goroutine.
	Done func()
}

// Options of a Receiver.
type Options struct {
	// Belongs says whether a sender may speak for the service, and if not,
	// why. The pidfd is -1 before Linux 6.5 and stays the receiver's. It is
	// called on the receiver's goroutine. Must be set.
	Belongs func(pid, pidfd int) (ok bool, why string)
	// Deliver takes the events in their order. It may block: then datagrams
	// wait in the socket and, after net.unix.max_dgram_qlen of them, the
	// senders wait. Must be set.
	Deliver func(Event)
	// Keep leaves each datagram in the socket until its event is Done: should
	// this process be killed before, whoever holds the socket then gets it again.
	// READY=1 is said only once. Twice is possible, never is not. A datagram that
	// is a beat and nothing else is not kept.
	Keep bool
	// Buffers may be shared by receivers; nil makes some for this one.
	Buffers *Buffers

	_ struct{}
}

// Receiver reads the datagrams of one service on a goroutine of its own.
type Receiver struct {
	file    *os.File
	options Options
	closed  atomic.Bool
	closing chan struct{} // closed with closed
	once    sync.Once
	done    chan struct{}
	err     error // written before done is closed
}

// FromFile starts to receive from a socket made by Listen, by this process or
// by another one that passed the descriptor. The descriptor is duplicated: f
// stays the caller's and may be closed. Other holders of the socket (the
// keeper) are not disturbed, but the socket becomes non-blocking for them too.
func FromFile(f *os.File, options Options) (*Receiver, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("cannot adopt notify socket: %w", err)
	}
	var own int
	var dupErr error
	if err := raw.Control(func(fd uintptr) {
		own, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
	}); err != nil || dupErr != nil {
		return nil, fmt.Errorf("cannot duplicate notify socket: %w", errors.Join(err, dupErr))
	}
	// Before NewFile, which polls only descriptors that are non-blocking.
	if err := errors.Join(unix.SetNonblock(own, true), passIdentity(own)); err != nil {
		_ = unix.Close(own)
		return nil, fmt.Errorf("cannot adopt notify socket: %w", err)
	}
	if options.Buffers == nil {
		options.Buffers = new(Buffers)
	}
	r := &Receiver{file: os.NewFile(uintptr(own), f.Name()), options: options, closing: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	return r, nil
}

// Close stops receiving. What has not been read stays in the socket for its
// other holders. Close does not wait, so that a consumer whose Deliver blocks
// may call it; Done does.
func (r *Receiver) Close() error {
	r.closed.Store(true)
	r.once.Do(func() { close(r.closing) })
	return r.file.Close()
}

// Done is closed when the goroutine has ended and no further event comes.
func (r *Receiver) Done() <-chan struct{} { return r.done }

// Err says why the receiver ended; nil before that and after Close.
func (r *Receiver) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

func (r *Receiver) run() {
	defer close(r.done)
	raw, err := r.file.SyscallConn()
	for err == nil {
		var event Event
		event, err = r.next(raw)
		if err != nil {
			break
		}
		if !r.options.Keep {
			r.options.Deliver(event)
			continue
		}
		if event.Refused == "" && event.Message.OnlyBeat() {
			// Should we be killed now, a successor waits for the next one anyway.
			err = r.drop(raw)
			r.options.Deliver(event)
			continue
		}
		err = r.deliverKept(raw, event)
	}
	// A RawConn of a closed file answers with an error of an internal package.
	if !r.closed.Load() {
		r.err = fmt.Errorf("cannot receive notifications on %s: %w", r.file.Name(), err)
	}
}

// deliverKept delivers an event and takes its datagram out of the socket when
// that is done.
func (r *Receiver) deliverKept(raw syscall.RawConn, event Event) error {
	acted := make(chan struct{})
	end := event.Done
	event.Done = sync.OnceFunc(func() { end(); close(acted) })
	r.options.Deliver(event)
	select {
	case <-acted:
	case <-r.closing:
		return os.ErrClosed
	}
	return r.drop(raw)
}

// drop takes out of the socket what was peeked at.
func (r *Receiver) drop(raw syscall.RawConn) error {
	var failed error
	return errors.Join(raw.Control(func(fd uintptr) { failed = drop(int(fd)) }), failed)
}

// next waits for a datagram. A buffer is held only while there is one.
func (r *Receiver) next(raw syscall.RawConn) (Event, error) {
	var event Event
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		b := r.options.Buffers.get()
		defer r.options.Buffers.put(b)
		var d datagram
		d, failed = receive(int(fd), b, r.options.Keep)
		if errors.Is(failed, unix.EAGAIN) {
			failed = nil
			return false
		}
		if failed == nil {
			event = r.judge(d)
		}
		return true
	})
	return event, errors.Join(err, failed)
}

// judge makes the event of a datagram and closes the descriptors with it, but
// for that of a barrier.
func (r *Receiver) judge(d datagram) Event {
	defer d.closePidfd()
	event := Event{At: clock.Boot(), PID: d.pid, UID: d.uid, GID: d.gid, Lost: d.lost, Done: func() {}}
	event.Message, event.Refused = r.read(d)
	if event.Refused == "" && event.Message.Barrier {
		event.Done = closeOnce(d.rights[0])
		return event
	}
	event.Closed = d.closeRights()
	return event
}

// read decodes a datagram and says why it is refused, if it is.
func (r *Receiver) read(d datagram) (wire.Message, string) {
	// Who speaks comes first: a stranger's bytes are not worth a look.
	if ok, why := r.options.Belongs(d.pid, d.pidfd); !ok {
		return wire.Message{}, why
	}
	if d.truncated {
		return wire.Message{}, wire.ErrTooLarge.Error()
	}
	m, err := wire.Decode(d.data)
	if err != nil {
		return wire.Message{}, err.Error()
	}
	if m.Barrier && (len(d.rights) != 1 || !aloneBarrier(m)) {
		return wire.Message{}, "BARRIER=1 must come alone, with one descriptor"
	}
	return m, ""
}

// aloneBarrier says that nothing but BARRIER=1 is in the message.
func aloneBarrier(m wire.Message) bool {
	others := m.Unknown + len(m.Invalid) + len(m.Unsupported)
	m.Barrier = false
	return others == 0 && m.Empty()
}

func closeOnce(fd int) func() {
	// As a file, so that the collector closes it if Done is never called.
	f := os.NewFile(uintptr(fd), "barrier")
	return sync.OnceFunc(func() { _ = f.Close() })
}
