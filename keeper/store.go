package keeper

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/manager"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// What the service manager keeps for the next keeper, should we be killed. Of
// each service its pidfd, which still tells how a process has ended that died
// meanwhile, and the read ends of its output, which hold what a dead one wrote
// last; and every kept file.
//
// Names in the store: the kind, then what it belongs to.
const (
	storedChildKind = "child" // key, instance; pidfd and pipes together
	storedFileKind  = "file"  // name, generation; the highest counts
)

func (k *Keeper) dropStored(s *storedChild) {
	if s == nil {
		return
	}
	s.close()
	if name, err := childName(s.key, s.instance); err == nil {
		k.manager.note(k.manager.Remove(name))
	}
}

func childName(key string, instance uint64) (string, error) {
	return manager.JoinName(storedChildKind, key, strconv.FormatUint(instance, 10))
}

// storeChild gives the service manager what there is of c.
func (k *Keeper) storeChild(c *child) {
	if !k.manager.Present() || c.spec.Helper || c.stored {
		return
	}
	fds, _ := c.files()
	if len(fds) == 0 {
		return
	}
	name, err := childName(c.spec.Key, c.spec.Instance)
	if err == nil {
		err = k.manager.Store(name, fds...)
	}
	c.stored = err == nil
	k.manager.note(err)
}

func (k *Keeper) unstoreChild(c *child) {
	if !c.stored {
		return
	}
	c.stored = false
	name, err := childName(c.spec.Key, c.spec.Instance)
	if err == nil {
		err = k.manager.Remove(name)
	}
	k.manager.note(err)
}

// storeFile gives the service manager a kept file, and takes back the one of
// that name before.
func (k *Keeper) storeFile(name string, fd int) {
	m := &k.manager
	if !m.Present() {
		return
	}
	old := m.names[name]
	stored, err := manager.JoinName(storedFileKind, name, strconv.FormatUint(m.nextGeneration(), 10))
	if err == nil {
		err = m.Store(stored, fd)
	}
	if err == nil {
		m.names[name] = stored
	}
	m.note(err)
	if old != "" {
		m.note(m.Remove(old))
		if m.names[name] == old {
			delete(m.names, name)
		}
	}
}

func (k *Keeper) unstoreFile(name string) {
	if stored, ok := k.manager.names[name]; ok {
		delete(k.manager.names, name)
		k.manager.note(k.manager.Remove(stored))
	}
}

// storedChild is what came back of one child.
type storedChild struct {
	key      string
	instance uint64
	pidfd    int            // -1: none
	pipes    map[uint64]int // by inode
	count    int            // of descriptors that were kept
}

func (s *storedChild) close() {
	if s == nil {
		return
	}
	for _, fd := range s.pipes {
		unix.Close(fd)
	}
	if s.pidfd >= 0 {
		unix.Close(s.pidfd)
	}
}

// takeStored takes over what the service manager has kept. Kept files become
// ours at once; children are returned by their ids.
func (k *Keeper) takeStored() map[string]*storedChild {
	children := map[string]*storedChild{}
	generations := map[string]uint64{}
	stored := k.manager.Stored()
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		parts, err := manager.SplitName(name)
		number := uint64(0)
		if err == nil && len(parts) == 3 {
			number, err = strconv.ParseUint(parts[2], 10, 64)
		}
		switch {
		case err != nil || len(parts) != 3:
			// A socket unit's: services get their sockets by themselves.
		case parts[0] == storedChildKind:
			s := &storedChild{key: parts[1], instance: number, pidfd: -1, pipes: map[uint64]int{}, count: len(stored[name])}
			for _, f := range stored[name] {
				s.take(f)
			}
			children[protocol.ID(s.key, s.instance)] = s
		case parts[0] == storedFileKind && len(stored[name]) == 1:
			k.takeStoredFile(parts[1], name, number, generations, stored[name][0])
		}
		for _, f := range stored[name] {
			f.Close()
		}
	}
	return children
}

func (k *Keeper) takeStoredFile(file, name string, generation uint64, newest map[string]uint64, f *os.File) {
	m := &k.manager
	m.generation = max(m.generation, generation)
	if old, has := newest[file]; has && old > generation || len(k.files) >= maxFiles {
		m.note(m.Remove(name))
		return
	}
	if old, has := m.names[file]; has {
		m.note(m.Remove(old))
	}
	if fd := duplicate(f); fd >= 0 {
		if old, has := k.files[file]; has {
			unix.Close(old)
		}
		k.files[file], m.names[file], newest[file] = fd, name, generation
	}
}

// take sorts a descriptor by what it is.
func (s *storedChild) take(f *os.File) {
	fd := duplicate(f)
	if fd < 0 {
		return
	}
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO:
		if _, twice := s.pipes[st.Ino]; !twice {
			s.pipes[st.Ino] = fd
			return
		}
	case err == nil && s.pidfd < 0:
		s.pidfd = fd
		return
	}
	unix.Close(fd)
}

// duplicate does not use Fd of f, which would make the descriptor, and all that
// share its open file, blocking.
func duplicate(f *os.File) int {
	own := -1
	raw, err := f.SyscallConn()
	if err != nil {
		return -1
	}
	_ = raw.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			own = n
		}
	})
	return own
}

// clockTick is the unit of start times in /proc: USER_HZ is 100 on every
// architecture that Go knows, time(7).
const clockTick = 10 * time.Millisecond

// record makes up the record of a child of which there is none, as when the
// runtime directory was full: its process tells.
func (s *storedChild) record(boot string) (record, error) {
	rec := record{Boot: boot, Key: s.key, Instance: s.instance, Started: protocol.Started{Instance: s.instance}}
	if s.pidfd < 0 {
		return rec, fmt.Errorf("cannot adopt %s: the service manager kept no pidfd of it", protocol.ID(s.key, s.instance))
	}
	info, err := pidfd.FD(s.pidfd).Info()
	if err != nil {
		return rec, fmt.Errorf("cannot adopt %s: %w", protocol.ID(s.key, s.instance), err)
	}
	if !info.HasPID {
		return rec, nil // gone; perhaps its status is known
	}
	rec.Started.PID = info.PID
	if rec.Started.Ticks, err = pidfd.StartTicks(info.PID); err != nil {
		return rec, err
	}
	rec.Started.Boot = time.Duration(rec.Started.Ticks) * clockTick
	rec.Outputs = outputPipes(info.PID)
	return rec, nil
}
