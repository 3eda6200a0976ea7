package proctask

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
)

// MaxTasks is how many threads of a process are looked at. Those beyond it are
// counted alone.
const MaxTasks = 1 << 16

// How often a name is read again, of threads that are not wanted.
const (
	young = 3  // in its first looks: a thread is named after it has begun
	turns = 16 // then in one look of so many: a thread may rename itself
	calm  = 4  // the same for wanted ones, with Want.Calm
)

// ErrEnded says that the process has no living thread any more.
var ErrEnded = errors.New("the process has ended")

// Want says which threads a scan is to tell of.
type Want struct {
	// Match says whether a thread of that name is wanted; nil: all are. It must
	// give the same answer for the same name.
	Match func(comm string) bool
	// All has every name read again, so that no thread is missed that took a
	// wanted name since. Without it that may take 16 scans.
	All bool
	// Calm has the wanted threads read in one scan of four alone: a thread that is
	// listed is there. That one changed its name or state may take so long to see.
	Calm bool
	// Still leaves out how often and how long they have had a processor.
	Still bool
}

// Scanner looks at the threads of one process, again and again. It keeps one
// descriptor, of the process and not of its number: once the process is gone it
// says so for ever. One goroutine at a time may use it.
type Scanner struct {
	pid      int
	dir      int
	most     int  // MaxTasks
	schedule bool // schedstat tells of switches
	scans    uint64
	known    map[int]*known
	text     []byte // of one file
	listing  []byte
	tids     []int
	tasks    []Task
}

// known is what is remembered of a thread.
type known struct {
	task   Task
	wanted bool
	looks  uint64 // how often it was listed
	seen   uint64 // the last scan that listed it
}

// Open begins to look at a process. It may have ended already, and its number
// may have been given to another one: the caller knows its process (a pidfd, or
// a start time) and makes sure of it afterwards.
func Open(pid int) (*Scanner, error) {
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/task", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		err = ErrEnded
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the threads of process %d: %w", pid, err)
	}
	return &Scanner{pid: pid, dir: dir, most: MaxTasks, schedule: tellsSwitches(), known: map[int]*known{}}, nil
}

// Close gives the descriptor back. The Scanner is of no use afterwards.
func (s *Scanner) Close() error {
	err := unix.Close(s.dir)
	s.dir = -1
	return err
}

// Scan looks once. When the process has ended, also in the middle of it, the
// error is ErrEnded.
//
// Threads that begin or end meanwhile may be seen or not. A thread that lives
// all the time and was told of by an earlier scan is told of by this one.
func (s *Scanner) Scan(w Want) (Scan, error) {
	begin := clock.Boot()
	s.scans++
	s.tasks = s.tasks[:0]
	total, err := s.list()
	if err == nil {
		err = s.visit(w)
	}
	if err == nil && len(s.known) == 0 {
		err = ErrEnded
	}
	if err != nil {
		return Scan{}, fmt.Errorf("cannot look at the threads of process %d: %w", s.pid, err)
	}
	return Scan{Tasks: s.tasks, Total: total, Left: total - len(s.tids), Took: clock.Boot() - begin}, nil
}

// visit reads what is to be read of the threads that are listed, and forgets the others.
func (s *Scanner) visit(w Want) error {
	for _, tid := range s.tids {
		if err := s.look(tid, w, true); err != nil {
			return err
		}
	}
	if len(s.known) == 0 {
		return nil
	}
	for tid, k := range s.known {
		if k.seen == s.scans {
			continue
		}
		// The kernel lists threads while they come and go: when one ends just as it
		// is listed, a living one behind it can be passed over. So a wanted one is
		// asked for by its number before it is believed to be gone.
		if k.wanted {
			if err := s.look(tid, w, false); err != nil {
				return err
			}
		} else {
			delete(s.known, tid)
		}
	}
	return nil
}

// look reads one thread as far as it must be read now, and tells of it if it is
// wanted.
func (s *Scanner) look(tid int, w Want, listed bool) error {
	k := s.known[tid]
	if k == nil {
		k = &known{task: Task{TID: tid}}
	}
	if k.seen == s.scans {
		return nil // listed twice
	}
	k.seen = s.scans
	k.looks++
	if !listed || s.due(k, w) {
		alive, err := s.read(k)
		if err != nil || !alive {
			delete(s.known, tid)
			return err
		}
		s.known[tid] = k
		k.wanted = w.Match == nil || w.Match(k.task.Comm)
	}
	if !k.wanted {
		return nil
	}
	if !w.Still {
		alive, err := s.readSwitches(k)
		if err != nil || !alive {
			delete(s.known, tid)
			return err
		}
	}
	s.tasks = append(s.tasks, k.task)
	return nil
}

// due says that name and state are to be read now.
func (s *Scanner) due(k *known, w Want) bool {
	turn := uint64(k.task.TID) + s.scans
	switch {
	case k.looks <= young || w.All:
		return true
	case k.wanted || w.Match == nil:
		return !w.Calm || turn%calm == 0
	}
	return turn%turns == 0
}

// read reads stat.
func (s *Scanner) read(k *known) (alive bool, err error) {
	text, alive, err := s.file(k.task.TID, "stat")
	if err != nil || !alive {
		return false, err
	}
	now, err := parseStat(text)
	if err != nil {
		return false, fmt.Errorf("stat of thread %d is %w", k.task.TID, err)
	}
	if now.state == 'Z' || now.state == 'X' {
		return false, nil
	}
	if k.task.Start != now.start {
		k.looks = 1 // another thread of the same number
	}
	k.task.Start, k.task.State = now.start, now.state
	if k.task.Comm != string(now.comm) {
		k.task.Comm = string(now.comm)
	}
	return true, nil
}

// readSwitches reads schedstat, and where the kernel has none, status.
func (s *Scanner) readSwitches(k *known) (alive bool, err error) {
	name := "schedstat"
	if !s.schedule {
		name = "status"
	}
	text, alive, err := s.file(k.task.TID, name)
	if err != nil || !alive {
		return false, err
	}
	if s.schedule {
		k.task.Run, k.task.Switches, err = parseSchedstat(text)
	} else {
		k.task.Switches, err = parseStatus(text)
	}
	if err != nil {
		return false, fmt.Errorf("%s of thread %d is %w", name, k.task.TID, err)
	}
	return true, nil
}
