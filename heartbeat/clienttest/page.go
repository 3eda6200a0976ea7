// Package clienttest makes pages of activities for tests and benchmarks of client
// libraries, with the same seals as vigil's own, and reads what they write.
package clienttest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Page is a page that a client is given.
type Page struct {
	File  *os.File     // for the client; the page lives on when it is closed
	Bytes []byte       // all of it
	Slots []wire.Words // of Bytes
}

// New makes a page of so many slots, sealed as vigil seals it.
func New(slots int) (*Page, error) {
	fd, err := unix.MemfdCreate("heartbeat", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make a page: %w", err)
	}
	p := &Page{File: os.NewFile(uintptr(fd), "heartbeat")}
	size := wire.PageSize(slots)
	err = unix.Ftruncate(fd, int64(size))
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err == nil {
		p.Bytes, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err == nil {
		wire.PutHeader(p.Bytes, slots)
		p.Slots, err = wire.PageSlots(p.Bytes, slots)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make a page: %w", err), p.Close())
	}
	return p, nil
}

// Close lets go of the page; Slots must not be touched afterwards.
func (p *Page) Close() error {
	err := p.File.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if p.Bytes != nil {
		err = errors.Join(err, unix.Munmap(p.Bytes))
	}
	p.Slots, p.Bytes = nil, nil
	return err
}

// Taken returns what the slots say that are neither free nor being claimed, in
// their order.
func (p *Page) Taken() ([]wire.Slot, error) {
	var taken []wire.Slot
	for i := range p.Slots {
		s, err := p.Slots[i].Slot()
		if err != nil {
			return taken, fmt.Errorf("cannot read slot %d: %w", i, err)
		}
		if s.State > wire.Claimed {
			taken = append(taken, s)
		}
	}
	return taken, nil
}
