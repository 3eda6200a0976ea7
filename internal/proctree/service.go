package proctree

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
)

// Service is what is known of a service without a cgroup. It belongs to one
// goroutine.
type Service struct {
	marker string
	reaper int
	known  map[int]Process // by pid; checked against Ticks before use
	// sessions holds the leaders of the service's own sessions. A session id is
	// a pid, which is not reused while a member of the session lives.
	sessions map[int]uint64
	spared   map[int]uint64 // by pid: the ticks of those that do not count
	// unsettled holds orphans that had no environment yet when they were looked
	// at, by pid.
	unsettled map[int]unsettled
	carries   func(marker string, p Process) (carries, settled bool)
}

// unsettled is a process in the middle of execve(2).
type unsettled struct {
	ticks uint64
	looks int
}

// maxLooks bounds how often one process is looked at before it counts as one
// without the marker: one whose execve waits for a dead disk must not hold up
// the end of a neighbour for ever.
const maxLooks = 100

// AnyParent, as the reaper, says that nobody knows where orphans went to: every
// process with the mark counts then.
const AnyParent = 0

// NewService returns a service whose processes carry marker, an entry
// "NAME=value", in the environment that they were started with, and whose
// orphans go to the process reaper, the child subreaper.
func NewService(marker string, reaper int) *Service {
	return &Service{marker: marker, reaper: reaper, known: map[int]Process{}, sessions: map[int]uint64{}, spared: map[int]uint64{},
		unsettled: map[int]unsettled{}, carries: carries}
}

// Started records a process that was started for the service.
func (s *Service) Started(p Process) {
	s.record(p)
}

// Spare has a process not count as one of the service from now on: a copy of one
// of them that somebody else made, and ends.
func (s *Service) Spare(p Process) {
	s.spared[p.PID] = p.Ticks
	delete(s.known, p.PID)
}

func (s *Service) isSpared(p Process) bool {
	ticks, ok := s.spared[p.PID]
	return ok && ticks == p.Ticks
}

// record remembers p, and its session if p leads one: then all members of the
// session descend from it.
func (s *Service) record(p Process) {
	s.known[p.PID] = p
	if p.SID == p.PID {
		s.sessions[p.SID] = p.Ticks
	}
}

// Update finds the living processes of the service in all and remembers them,
// so that descent survives the death of a parent between two calls. The
// processes that all shows to be gone are forgotten, and their sessions when
// they have no member left. A process of the service that is in the middle of
// execve(2) may be missing: see Unsettled.
func (s *Service) Update(all Snapshot) []Process {
	s.forget(all)
	for {
		found := all.Descendants(s.roots(all)...)
		found = slices.DeleteFunc(found, s.isSpared)
		fresh := false
		for _, p := range found {
			if _, ok := s.known[p.PID]; !ok {
				fresh = true
			}
			s.record(p)
		}
		// A process found may lead a session with further members.
		if !fresh {
			return living(found)
		}
	}
}

// Unsettled says whether the last Update saw an orphan in the middle of
// execve(2), of which it could not be told whether it is the service's. Who wants
// to know that nothing is left looks again. It is true for a bounded number of
// calls of Update in a row for the same process.
func (s *Service) Unsettled() bool { return len(s.unsettled) > 0 }

// roots returns the pids that belong to the service on their own account.
func (s *Service) roots(all Snapshot) []int {
	var pids []int
	for pid, p := range all {
		if pid == s.reaper || pid == 1 || s.isSpared(p) {
			continue
		}
		_, known := s.known[pid]
		if known || s.inSession(p) || ((p.PPID == s.reaper || s.reaper == AnyParent) && s.marked(p)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inSession says whether p is a member of a recorded session. One that is older
// than the leader is not: then the number was reused.
func (s *Service) inSession(p Process) bool {
	since, ok := s.sessions[p.SID]
	return ok && p.Ticks >= since
}

// forget drops what does not exist any more.
func (s *Service) forget(all Snapshot) {
	for pid, p := range s.known {
		if all[pid].Ticks != p.Ticks {
			delete(s.known, pid)
		}
	}
	members := map[int]bool{}
	for _, p := range all {
		if s.inSession(p) {
			members[p.SID] = true
		}
	}
	for pid, ticks := range s.spared {
		if all[pid].Ticks != ticks {
			delete(s.spared, pid)
		}
	}
	for pid, u := range s.unsettled {
		if all[pid].Ticks != u.ticks || all[pid].Zombie {
			delete(s.unsettled, pid)
		}
	}
	for sid := range s.sessions {
		if leader, ok := all[sid]; !members[sid] || (ok && leader.Ticks != s.sessions[sid]) {
			delete(s.sessions, sid)
		}
	}
}

// maxEnvironment bounds what is read of an environment. The kernel's own limit
// is a quarter of the stack limit, usually 2 MiB.
const maxEnvironment = 8 << 20

// marked says whether the process carries the marker, and keeps account of those
// of which it cannot be told yet.
func (s *Service) marked(p Process) bool {
	yes, settled := s.carries(s.marker, p)
	if settled {
		delete(s.unsettled, p.PID)
		return yes
	}
	u := s.unsettled[p.PID]
	if u.ticks != p.Ticks {
		u = unsettled{ticks: p.Ticks}
	}
	if u.looks++; u.looks > maxLooks {
		delete(s.unsettled, p.PID)
		return false
	}
	s.unsettled[p.PID] = u
	return false
}

// carries says whether the process carries the marker. The environment of a
// process of another user is closed to us unless we are privileged: not marked.
//
// It is not settled for a process in the middle of execve(2): it has a new
// address space in which there is no environment yet, and reads as empty
// (environ_read in fs/proc/base.c; seen with Linux 6.18).
func carries(marker string, p Process) (yes, settled bool) {
	if p.Zombie || p.Kernel {
		return false, true
	}
	env, err := environment(p.PID)
	if err != nil {
		return false, true
	}
	if len(env) > 0 {
		return hasEntry(env, marker), true
	}
	return false, bare(p) // or it had none at that moment: look again
}

// Variable reads a variable of the environment that a process was started with.
func Variable(pid int, name string) (value string, ok bool) {
	env, err := environment(pid)
	if err != nil {
		return "", false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			return string(value), true
		}
	}
	return "", false
}

func environment(pid int) ([]byte, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxEnvironment))
}

// hasEntry looks for a whole entry in a list of entries that end in NUL.
func hasEntry(env []byte, marker string) bool {
	if marker == "" {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if string(entry) == marker {
			return true
		}
	}
	return false
}

// living leaves out zombies, which are dead but not reaped.
func living(list []Process) []Process {
	alive := list[:0]
	for _, p := range list {
		if !p.Zombie {
			alive = append(alive, p)
		}
	}
	return alive
}
