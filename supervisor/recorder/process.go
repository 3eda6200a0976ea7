package recorder

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on, time(7).
const tick = 10 * time.Millisecond

// maxStat is more than a line of /proc/PID/stat can be.
const maxStat = 4096

// Process measures one process by files that stay open.
type Process struct {
	stat *os.File
	fds  string
	used time.Duration
	seen bool // used is known
	buf  [maxStat]byte
}

// stats is what is needed of /proc/PID/stat, proc_pid_stat(5).
type stats struct {
	used    time.Duration // user and system time
	threads uint64
	start   uint64 // in ticks since the boot of the machine
	pages   uint64 // resident
}

// OpenProcess opens what is measured. ticks is its start time in ticks, from
// which it is known that pid is still the same process.
func OpenProcess(pid int, ticks uint64) (*Process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	f, err := os.Open(dir + "/stat")
	if err != nil {
		return nil, fmt.Errorf("cannot measure process %d: %w", pid, err)
	}
	p := &Process{stat: f, fds: dir + "/fd"}
	st, err := p.read()
	if err == nil && st.start != ticks {
		err = fmt.Errorf("it is another process by now")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot measure process %d: %w", pid, err)
	}
	return p, nil
}

// Measure puts into s what the process has now. The first time there is no
// processor time.
func (p *Process) Measure(s *Sample) error {
	st, err := p.read()
	if err != nil {
		return err
	}
	if p.seen {
		s.CPU = st.used - p.used
	}
	p.used, p.seen = st.used, true
	s.Memory, s.Threads, s.Measured = st.pages*uint64(os.Getpagesize()), st.threads, true
	// Since Linux 6.2 the size of the directory is the number of open
	// descriptors (proc_pid_fd(5)); before, it is 0.
	var info unix.Stat_t
	if unix.Stat(p.fds, &info) == nil {
		s.Files = uint64(max(info.Size, 0))
	}
	return nil
}

// Close may be called for none.
func (p *Process) Close() {
	if p != nil {
		p.stat.Close()
	}
}

func (p *Process) read() (stats, error) {
	n, err := unix.Pread(int(p.stat.Fd()), p.buf[:], 0)
	if err != nil {
		return stats{}, fmt.Errorf("cannot read the state of a process: %w", err)
	}
	return parseStat(p.buf[:n])
}

// parseStat reads fields by their numbers in proc_pid_stat(5); what is before
// the last parenthesis is a name that may hold anything.
func parseStat(b []byte) (st stats, err error) {
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the first is number 3
	const first, last = 3, 24
	if len(fields) <= last-first {
		return st, fmt.Errorf("cannot read the state of a process: %d fields", len(fields))
	}
	var failed error
	n := func(field int) uint64 {
		v, err := strconv.ParseUint(string(fields[field-first]), 10, 63)
		if err != nil && failed == nil {
			failed = fmt.Errorf("cannot read the state of a process: %w", err)
		}
		return v
	}
	st.used = time.Duration(n(14)+n(15)) * tick
	st.threads, st.start, st.pages = n(20), n(22), n(24)
	return st, failed
}
