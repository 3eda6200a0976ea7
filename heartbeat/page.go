package heartbeat

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// The reasons for which an activity or a page is refused; those of a page that
// is no page are in package wire.
var (
	ErrFull   = errors.New("heartbeat: every slot is taken")
	ErrName   = errors.New("heartbeat: an activity needs a name")
	ErrLimit  = errors.New("heartbeat: negative timeout")
	ErrSealed = errors.New("heartbeat: not sealed against shrinking")
)

// Page is the memory that a program shares with vigil. Its zero value has no
// slots: it gives activities that nobody watches. It may be used by several
// goroutines and stays mapped until the program ends.
type Page struct {
	slots []wire.Words
	next  atomic.Uint32 // where the next search begins
	pid   uint32
}

// Default returns the page that vigil gave to this program, which is mapped at
// the first call. Without VIGIL_HEARTBEAT_FD in the environment that is a page
// without slots. So it is, next to an error, if the variable does not lead to a
// page: the program decides whether it runs unwatched.
//
// On success the descriptor is closed and the variable removed from the
// environment, since the programs that this one starts do not have it.
func Default() (*Page, error) { return inherited() }

var inherited = sync.OnceValues(func() (*Page, error) {
	value, ok := os.LookupEnv(wire.HeartbeatFD)
	if !ok {
		return new(Page), nil
	}
	fd, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return new(Page), fmt.Errorf("cannot use %s=%q: not a descriptor number", wire.HeartbeatFD, value)
	}
	p, err := Attach(int(fd))
	if err != nil {
		return new(Page), fmt.Errorf("cannot use %s=%s: %w", wire.HeartbeatFD, value, err)
	}
	return p, os.Unsetenv(wire.HeartbeatFD)
})

// Attach maps the page behind a descriptor and closes the descriptor. One that
// is refused is left as it is, for it may be anything.
func Attach(fd int) (*Page, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("cannot look at descriptor %d (closed on the way from vigil?): %w", fd, err)
	}
	// fcntl(2): only a memfd has seals. Without this one, whoever shrinks the
	// file has the next beat end the program by SIGBUS.
	if seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil {
		return nil, fmt.Errorf("cannot use descriptor %d: no memfd: %w", fd, err)
	} else if seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("cannot use descriptor %d: %w", fd, ErrSealed)
	}
	slots, err := mapSlots(fd, st.Size)
	if err != nil {
		return nil, err
	}
	if err := unix.Close(fd); err != nil {
		return nil, fmt.Errorf("cannot close descriptor %d: %w", fd, err)
	}
	return &Page{slots: slots, pid: uint32(os.Getpid())}, nil
}

// mapSlots reads the header by pread(2) first, so that nothing is mapped whose
// size is not believed yet.
func mapSlots(fd int, size int64) ([]wire.Words, error) {
	var header [wire.HeaderSize]byte
	n, err := unix.Pread(fd, header[:], 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the header of the page: %w", err)
	}
	count, err := wire.CheckHeader(header[:n], size)
	if err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(fd, 0, wire.PageSize(count), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map the page: %w", err)
	}
	return wire.PageSlots(memory, count)
}

// Slots says how many activities the page has room for; 0 when nobody watches.
func (p *Page) Slots() int { return len(p.slots) }

// Claim claims an activity on the Default page.
func Claim(name string, timeout time.Duration) (*Activity, error) {
	p, err := Default()
	if err != nil {
		return newActivity(new(wire.Words)), err
	}
	return p.Claim(name, timeout)
}

// Claim takes a free slot for an activity, which is idle at first. A timeout of
// 0 means the one of the service (heartbeat.timeout). A name has at most 32
// bytes; a longer one is cut at a character. Names need not differ, but
// verdicts are easier to read if they do.
//
// When there is no free slot, one is taken whose process is gone. When there is
// none either, the error is ErrFull and says how many there are. The
// activity is never nil: with an error it is one that nobody watches.
func (p *Page) Claim(name string, timeout time.Duration) (*Activity, error) {
	nobody := newActivity(new(wire.Words))
	switch {
	case name == "":
		return nobody, fmt.Errorf("cannot claim an activity: %w", ErrName)
	case timeout < 0:
		return nobody, fmt.Errorf("cannot claim activity %q with timeout %v: %w", name, timeout, ErrLimit)
	case len(p.slots) == 0:
		return nobody, nil
	}
	slot := p.take()
	if slot == nil {
		return nobody, fmt.Errorf("cannot claim activity %q: %w: the page has %d (heartbeat.activities of the service)", name, ErrFull, len(p.slots))
	}
	fill(slot, wire.Slot{Timeout: timeout, PID: p.pid, Name: name})
	return newActivity(slot), nil
}

// take returns a slot that is Claimed now, or nil.
func (p *Page) take() *wire.Words {
	begin := int(p.next.Load())
	for i := range p.slots {
		at := (begin + i) % len(p.slots)
		if p.slots[at][wire.WordPulse].CompareAndSwap(uint64(wire.Free), uint64(wire.Claimed)) {
			p.next.Store(uint32(at + 1))
			return &p.slots[at]
		}
	}
	for i := range p.slots {
		pulse := p.slots[i][wire.WordPulse].Load()
		if p.orphaned(&p.slots[i]) && p.slots[i][wire.WordPulse].CompareAndSwap(pulse, uint64(wire.Claimed)) {
			return &p.slots[i]
		}
	}
	return nil
}

// orphaned says that the claimer of a slot is gone. Processes that share a page
// share a pid namespace; where they do not, a page must not run full.
func (p *Page) orphaned(w *wire.Words) bool {
	s, err := w.Slot()
	if err != nil || s.State < wire.Idle || s.PID == 0 || s.PID == p.pid || s.PID > 1<<30 {
		return false
	}
	return errors.Is(unix.Kill(int(s.PID), 0), unix.ESRCH)
}

// fill writes what a claimed slot says: the serial first and the pulse last, as
// wire.Words.Slot relies on.
func fill(w *wire.Words, s wire.Slot) {
	s.Serial = w.Serial() + 1
	words := wire.EncodeSlot(s)
	w[wire.WordSerial].Store(words[wire.WordSerial])
	for i, v := range words {
		if i != wire.WordSerial && i != wire.WordPulse {
			w[i].Store(v)
		}
	}
	w[wire.WordPulse].Store(wire.OneBeat | uint64(wire.Idle))
}
