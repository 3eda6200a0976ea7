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

// pageSeals keep the size (memfd_create(2), Linux 3.17), and the seals.
const pageSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// NewPage makes a memfd with slots slots, to be passed to a program. The caller
// closes it; mapped or not, it lives for as long as somebody has it.
func NewPage(slots int) (*os.File, error) {
	fd, err := unix.MemfdCreate("vigil-heartbeat", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make a page of activities: %w", err)
	}
	f := os.NewFile(uintptr(fd), "vigil-heartbeat")
	header := make([]byte, wire.HeaderSize)
	wire.PutHeader(header, slots)
	err = f.Truncate(int64(wire.PageSize(slots)))
	if err == nil {
		_, err = f.WriteAt(header, 0)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, pageSeals)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot make a page of activities of %d slots: %w", slots, err)
	}
	return f, nil
}

// MapPage maps a page that NewPage made, perhaps of a supervisor before.
func MapPage(f *os.File) (*Page, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("cannot map a page of activities: %w", err)
	}
	var p *Page
	var failed error
	err = raw.Control(func(fd uintptr) { p, failed = mapPage(int(fd)) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("cannot map a page of activities: %w", err)
	}
	return p, nil
}

func mapPage(fd int) (*Page, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&pageSeals != pageSeals {
		return nil, fmt.Errorf("it is not sealed: %w", wire.ErrPageSize)
	}
	slots := (st.Size - wire.HeaderSize) / wire.SlotSize
	if slots < 1 || slots > wire.MaxSlots || st.Size != int64(wire.PageSize(int(slots))) {
		return nil, fmt.Errorf("it has %d bytes: %w", st.Size, wire.ErrPageSize)
	}
	memory, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	words, err := wire.PageSlots(memory, int(slots))
	if err != nil {
		_ = unix.Munmap(memory)
		return nil, err
	}
	return &Page{memory: memory, slots: words}, nil
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
