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
}

// AnyParent, as the reaper, says that nobody knows where orphans went to: every
// process with the mark counts then.
const AnyParent = 0

// NewService returns a service whose processes carry marker, an entry
// "NAME=value", in the environment that they were started with, and whose
// orphans go to the process reaper, the child subreaper.
func NewService(marker string, reaper int) *Service {
	return &Service{marker: marker, reaper: reaper, known: map[int]Process{}, sessions: map[int]uint64{}, spared: map[int]uint64{}}
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
// they have no member left.
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
	for sid := range s.sessions {
		if leader, ok := all[sid]; !members[sid] || (ok && leader.Ticks != s.sessions[sid]) {
			delete(s.sessions, sid)
		}
	}
}

// maxEnvironment bounds what is read of an environment. The kernel's own limit
// is a quarter of the stack limit, usually 2 MiB.
const maxEnvironment = 8 << 20

// marked says whether the process carries the marker. The environment of a
// process of another user is closed to us unless we are privileged: not marked.
func (s *Service) marked(p Process) bool {
	env, err := environment(p.PID)
	return err == nil && hasEntry(env, s.marker)
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
