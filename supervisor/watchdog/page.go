package watchdog

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Page is the memory in which the activities of one instance beat. vigil reads
// it, and trusts nothing in it: how many slots there are is its own knowledge,
// and the seals of the memory keep the mapping from ever faulting.
type Page struct {
	memory []byte
	slots  []wire.Words
}

// PageName is the name of the memfd, as /proc/PID/maps shows it.
const PageName = "vigil-heartbeat"

// pageSeals keep the size (memfd_create(2), Linux 3.17), and the seals.
const pageSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// NewPage makes a memfd with slots slots, to be passed to a program. The caller
// closes it; mapped or not, it lives for as long as somebody has it.
func NewPage(slots int) (*os.File, error) {
	header := make([]byte, wire.HeaderSize)
	wire.PutHeader(header, slots)
	f, err := newSealed(PageName, wire.PageSize(slots), header)
	if err != nil {
		return nil, fmt.Errorf("cannot make a page of activities of %d slots: %w", slots, err)
	}
	return f, nil
}

// MapPage maps a page that NewPage made, perhaps of a supervisor before.
func MapPage(f *os.File) (*Page, error) {
	memory, err := mapSealed(f, wire.PageSize(1), wire.PageSize(wire.MaxSlots))
	if err != nil {
		return nil, fmt.Errorf("cannot map a page of activities: %w", err)
	}
	slots := (len(memory) - wire.HeaderSize) / wire.SlotSize
	words, err := wire.PageSlots(memory, slots)
	if err == nil && len(memory) != wire.PageSize(slots) {
		err = fmt.Errorf("it has %d bytes: %w", len(memory), wire.ErrPageSize)
	}
	if err != nil {
		_ = unix.Munmap(memory)
		return nil, fmt.Errorf("cannot map a page of activities: %w", err)
	}
	return &Page{memory: memory, slots: words}, nil
}

// newSealed makes a memfd of size bytes, which begin with head and are zero from
// there on.
func newSealed(name string, size int, head []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if err = f.Truncate(int64(size)); err == nil {
		_, err = f.WriteAt(head, 0)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, pageSeals)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// mapSealed maps all of a memfd whose size is fixed, and within bounds.
func mapSealed(f *os.File, least, most int) (memory []byte, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(at uintptr) {
		fd := int(at)
		var st unix.Stat_t
		if failed = unix.Fstat(fd, &st); failed != nil {
			return
		}
		seals, err := unix.FcntlInt(at, unix.F_GET_SEALS, 0)
		switch {
		case err != nil || seals&pageSeals != pageSeals:
			failed = fmt.Errorf("it is not sealed: %w", wire.ErrPageSize)
		case st.Size < int64(least) || st.Size > int64(most):
			failed = fmt.Errorf("it has %d bytes: %w", st.Size, wire.ErrPageSize)
		default:
			memory, failed = unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		}
	})
	if err != nil {
		return nil, err
	}
	return memory, failed
}

// Len is how many slots there are.
func (p *Page) Len() int { return len(p.slots) }

// Intact says whether the header still is what vigil wrote. Nothing depends on
// it but programs that attach later.
func (p *Page) Intact() bool {
	n, err := wire.CheckHeader(p.memory[:wire.HeaderSize], int64(len(p.memory)))
	return err == nil && n == len(p.slots)
}

// Close unmaps it. No method may be called afterwards.
func (p *Page) Close() error {
	p.slots = nil
	return unix.Munmap(p.memory)
}
