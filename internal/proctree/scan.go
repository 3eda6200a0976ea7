// Package proctree finds and kills the processes of a service that has no
// cgroup, from what /proc tells.
//
// Three traces lead to a process: its chain of parents, as long as nobody in
// between has died; the session id of one of the service's known sessions; and
// a marker in its environment, asked only of processes that were re-parented to
// the subreaper. None is proof against a program that wants to escape: one that
// double-forks, makes a session that nobody recorded and cleans its environment
// is not found. That is why a cgroup is the first choice. A neighbour's process
// is never taken: being our orphan alone is no trace.
package proctree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Process identifies one process within a boot, and says where it stands.
type Process struct {
	PID, PPID int
	SID       int    // session id
	Ticks     uint64 // start time in clock ticks since boot
	Zombie    bool
	Stopped   bool // by a signal (state T)
	Kernel    bool // a thread of the kernel
}

// Snapshot is the processes at one time, by pid. Reading it takes a while: a
// process that forks meanwhile may have a child that is missing.
type Snapshot map[int]Process

// maxProcesses bounds a snapshot; it is the largest kernel.pid_max.
const maxProcesses = 4 << 20

// errStat is a /proc/PID/stat that is not what proc(5) describes.
var errStat = errors.New("malformed stat")

// Scan reads /proc. Processes that go away meanwhile are left out.
func Scan() (Snapshot, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	defer dir.Close()
	all := Snapshot{}
	for len(all) < maxProcesses {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			pid, notPID := strconv.Atoi(name)
			if notPID != nil {
				continue
			}
			if p, err := Read(pid); err == nil {
				all[pid] = p
			}
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list processes: %w", err)
		}
	}
	return nil, fmt.Errorf("cannot list processes: more than %d", maxProcesses)
}

// Read reads one process.
func Read(pid int) (Process, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		var p Process
		if p, err = parse(string(text)); err == nil {
			return p, nil
		}
	}
	return Process{}, fmt.Errorf("cannot read process %d: %w", pid, err)
}

// kernelThread is PF_KTHREAD among the flags of proc_pid_stat(5).
const kernelThread = 0x00200000

// parse reads the fields of proc_pid_stat(5) that are needed: 1 pid, 3 state,
// 4 ppid, 6 session, 9 flags, 22 starttime.
func parse(stat string) (Process, error) {
	begin := strings.IndexByte(stat, '(')
	fields := fieldsOf(stat)
	if begin < 0 || fields == nil {
		return Process{}, errStat
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(stat[:begin]))
	ppid, err2 := strconv.Atoi(fields[1])
	sid, err3 := strconv.Atoi(fields[3])
	flags, err4 := strconv.ParseUint(fields[6], 10, 64)
	ticks, err5 := strconv.ParseUint(fields[19], 10, 64)
	if errors.Join(err1, err2, err3, err4, err5) != nil {
		return Process{}, errStat
	}
	return Process{PID: pid, PPID: ppid, SID: sid, Ticks: ticks, Kernel: flags&kernelThread != 0,
		Zombie: fields[0] == "Z" || fields[0] == "X", Stopped: fields[0] == "T"}, nil
}

// fieldsOf returns the fields from the third on, nil when there are too few. The
// name, field 2, may hold spaces and brackets.
func fieldsOf(stat string) []string {
	end := strings.LastIndexByte(stat, ')')
	if end < strings.IndexByte(stat, '(') {
		return nil
	}
	if fields := strings.Fields(stat[end+1:]); len(fields) >= 20 {
		return fields
	}
	return nil
}

// bare says whether p was started with an empty environment: fields 50 env_start
// and 51 env_end are equal, and not 0, which they are until the end of
// execve(2). They are 0 as well for who may not know them, who cannot read the
// environment either.
func bare(p Process) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/stat")
	if err != nil {
		return true // gone
	}
	now, err := parse(string(text))
	if err != nil || now.Ticks != p.Ticks || now.Zombie {
		return true
	}
	fields := fieldsOf(string(text))
	return len(fields) < 49 || (fields[48] != "0" && fields[47] == fields[48])
}

// Descendants returns the roots that exist and everything below them, parents
// before children.
func (s Snapshot) Descendants(roots ...int) []Process {
	children := map[int][]int{}
	for pid, p := range s {
		children[p.PPID] = append(children[p.PPID], pid)
	}
	var list []Process
	seen := map[int]bool{}
	for queue := roots; len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		p, ok := s[pid]
		if !ok || seen[pid] {
			continue
		}
		seen[pid] = true
		list = append(list, p)
		queue = append(queue[:len(queue):len(queue)], children[pid]...)
	}
	return list
}
