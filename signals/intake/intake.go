package intake

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/signals"
)

// pipeSize holds 8,192 records: a stream pipe puts 32 of them on a page.
const pipeSize = 1 << 20

// readSize is how much is taken from the pipe at once: 64 records.
const readSize = 64 * recordSize

// ErrStarted is the error of every Start but the first: dispositions belong to
// the process.
var ErrStarted = errors.New("cannot take signals: they are taken already")

var started atomic.Bool

// Intake receives signals until the process ends; it cannot be stopped.
type Intake struct {
	queue *queue
	pipe  *os.File // the read end; kept, so that it is never finalised
}

// Start takes the given signals, those that were ignored too (nohup(1)). They
// must not be of those that the Go runtime or an error of our own needs. When it
// returns, every handler is in place. It can succeed once in a process.
//
// If the process began with one of the signals blocked and Unmask was not
// called, the reader keeps a thread of its own with an empty mask: the kernel
// then delivers to that one. Children of os/exec inherit what is blocked; those
// of internal/spawn never do.
func Start(sigs ...syscall.Signal) (*Intake, error) {
	for _, sig := range sigs {
		if err := refuse(sig); err != nil {
			return nil, err
		}
	}
	if !started.CompareAndSwap(false, true) {
		return nil, ErrStarted
	}
	in, err := open(pipeSize)
	if err != nil {
		started.Store(false)
		return nil, err
	}
	// A handler that takes a signal makes it vanish for the kernel, so the
	// reader is there first.
	go in.read(inheritedMask()&set(sigs) != 0)
	for _, sig := range sigs {
		if err := install(sig); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// open makes the pipe and tells the handler of it.
func open(size int) (*Intake, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("cannot take signals: cannot make a pipe: %w", err)
	}
	// Refused by a quota of unprivileged users (pipe(7)); the default holds 512.
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, size)
	atomic.StoreInt32(&writeEnd, int32(ends[1]))
	return &Intake{queue: newQueue(), pipe: os.NewFile(uintptr(ends[0]), "signals")}, nil
}

func set(sigs []syscall.Signal) (mask uint64) {
	for _, sig := range sigs {
		mask |= 1 << (sig - 1)
	}
	return mask
}

// Ready receives after records came; at most one value waits in it. Take may
// find more than was told of, or nothing.
func (in *Intake) Ready() <-chan struct{} { return in.queue.ready }

// Take returns what has arrived since the last call, in order.
func (in *Intake) Take() []signals.Record { return in.queue.take() }

// read hands on and does nothing else, so that the pipe stays empty.
func (in *Intake) read(ownThread bool) {
	if ownThread {
		runtime.LockOSThread() // for ever
		var empty unix.Sigset_t
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &empty, nil) // known arguments
	}
	buffer := make([]byte, readSize)
	for {
		// Writes of 128 bytes are atomic (pipe(7)), so whole records are read.
		n, err := io.ReadAtLeast(in.pipe, buffer, recordSize)
		in.hand(buffer[:n-n%recordSize])
		in.handMissed()
		if err != nil {
			return // never: the write end is open as long as the process lives
		}
	}
}

// hand resolves the senders of one read, each once, and queues the records.
func (in *Intake) hand(b []byte) {
	boot, wall := clock.Boot(), time.Now()
	last := signals.Sender{PID: -1}
	for ; len(b) > 0; b = b[recordSize:] {
		r, ok := decode(b)
		if !ok {
			continue // poke
		}
		if last.Same(r.Sender) {
			r.Sender = last
		} else {
			resolve(&r.Sender)
			last = r.Sender
		}
		r.Boot, r.Wall = boot, wall
		in.queue.put(r)
	}
}

// handMissed turns what the pipe had no room for into records without a sender.
func (in *Intake) handMissed() {
	for sig := range missed {
		if atomic.LoadUint64(&missed[sig]) == 0 {
			continue
		}
		r := unnamed(syscall.Signal(sig), atomic.SwapUint64(&missed[sig], 0))
		r.Boot, r.Wall = clock.Boot(), time.Now()
		in.queue.put(r)
	}
}
