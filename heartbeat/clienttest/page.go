// Package clienttest checks client libraries of any language: it gives them pages
// of activities, the same as vigil does, and reads what they write.
package clienttest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// Page is a page that a client is given.
type Page struct {
	File  *os.File     // for the client; the page lives on when it is closed
	Bytes []byte       // all of it
	Slots []wire.Words // of Bytes
}

// New makes a page of so many slots, as vigil makes it for a service.
func New(slots int) (*Page, error) {
	f, err := watchdog.NewPage(slots)
	if err != nil {
		return nil, err
	}
	p := &Page{File: f}
	p.Bytes, err = unix.Mmap(int(f.Fd()), 0, wire.PageSize(slots), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err == nil {
		p.Slots, err = wire.PageSlots(p.Bytes, slots)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot map a page of activities: %w", err), p.Close())
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
