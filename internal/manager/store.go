package manager

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// maxNames bounds the names of all stored descriptors, with a separator each:
// systemd passes them as one environment string, which the kernel limits to
// 128 KiB (MAX_ARG_STRLEN, execve(2)). With more it could not start us again.
const maxNames = 120 << 10

// ErrStoreFull is the answer of Store when the descriptor would be dropped, or
// its name would keep us from being started again.
var ErrStoreFull = errors.New("manager: no room in the service manager's descriptor store")

// store is the account of what the service manager keeps.
type store struct {
	mu      sync.Mutex
	names   map[string]int // descriptors of each name
	count   int
	bytes   int
	limit   int
	limited bool // limit is known
}

func newStore(stored map[string][]*os.File) *store {
	s := &store{names: map[string]int{}}
	for name, files := range stored {
		s.add(name, len(files))
	}
	return s
}

func (s *store) add(name string, n int) {
	s.names[name] += n
	s.count += n
	s.bytes += n * (len(name) + 1)
	if s.names[name] == 0 {
		delete(s.names, name)
	}
}

// room says whether n more of name fit.
func (s *store) room(name string, n int) bool {
	return (!s.limited || s.count+n <= s.limit) && s.bytes+n*(len(name)+1) <= maxNames
}

// StoreLimit is how many descriptors the service manager keeps for us
// (FileDescriptorStoreMax=). It is known from systemd 254 on; before, and
// without systemd, a store may be there or not.
func (m *Manager) StoreLimit() (n int, known bool) { return m.store.limit, m.store.limited }

// Stored is what the service manager passed to us at the start, by name:
// descriptors that a predecessor has stored, and sockets of activation. The
// order means nothing. The caller owns the files; they are close-on-exec, and
// as blocking or not as they were stored. They stay in the store until Remove,
// and an *os.File that is dropped is closed by the garbage collector.
func (m *Manager) Stored() map[string][]*os.File { return m.stored }

// Store has the service manager keep a duplicate of each descriptor under name
// (see JoinName), in addition to those of that name. They come back in Stored
// of the next process that it starts for this service. The caller's stay open
// and his. When Store returns nil they are with the service manager or, if it
// did not read, in our queue (Barrier tells); it may still refuse them, and
// says so only in its log.
//
// Nothing replaces what is stored in one step: systemd takes a message that
// removes and stores for one that removes. Store state in a memfd and write
// into that.
func (m *Manager) Store(name string, fds ...int) error {
	if m.link == nil {
		return nil
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("cannot store descriptors: %w", err)
	}
	if len(fds) == 0 || len(fds) > scmMaxFD {
		return fmt.Errorf("cannot store %d descriptors as %q: %w", len(fds), name, errCount)
	}
	// FDPOLL=0: otherwise systemd drops a pipe or pidfd as soon as its other
	// end or its process is gone, which is when it is needed (systemd 246).
	text := "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name
	s := m.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.room(name, len(fds)) {
		return fmt.Errorf("cannot store %d descriptors as %q beside %d: %w", len(fds), name, s.count, ErrStoreFull)
	}
	if err := m.link.send(message{text: text, files: fds}); err != nil {
		return err
	}
	s.add(name, len(fds))
	return nil
}

// Remove has the service manager close all that it keeps under name.
func (m *Manager) Remove(name string) error {
	if m.link == nil {
		return nil
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("cannot remove stored descriptors: %w", err)
	}
	s := m.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := m.tell("FDSTOREREMOVE=1", "FDNAME="+name); err != nil {
		return err
	}
	s.add(name, -s.names[name])
	return nil
}
