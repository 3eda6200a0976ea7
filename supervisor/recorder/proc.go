package recorder

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what /proc shows of a process.
type usage struct {
	cpu          time.Duration
	rss          int64
	threads, fds int
}

// Process reads one process again and again, by a descriptor that stays open: so
// a pid that is another's by now is not taken for it.
type Process struct {
	pid  int
	stat *os.File
	last usage
	at   time.Duration
	buf  [1024]byte
}

// OpenProcess begins to look at a process.
func OpenProcess(pid int) (*Process, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	return &Process{pid: pid, stat: f}, nil
}

// Close stops looking.
func (p *Process) Close() error { return p.stat.Close() }

// Look fills in what the process has used since the last look, at this time.
func (p *Process) Look(now time.Duration, s *Sample) error {
	n, err := p.stat.ReadAt(p.buf[:], 0)
	if n == 0 {
		return fmt.Errorf("cannot look at process %d: %w", p.pid, err) // ESRCH: it is gone
	}
	u, err := parseStat(p.buf[:n])
	if err != nil {
		return err
	}
	if d := now - p.at; p.at > 0 && d > 0 {
		s.CPU = float64(u.cpu-p.last.cpu) / float64(d)
	}
	// The number of descriptors is the size of the directory, since Linux 6.2.
	var st unix.Stat_t
	if unix.Stat("/proc/"+strconv.Itoa(p.pid)+"/fd", &st) == nil {
		u.fds = int(st.Size)
	}
	p.last, p.at = u, now
	s.RSS, s.Threads, s.FDs = u.rss, u.threads, u.fds
	return nil
}

// userHZ is the unit of times in /proc/PID/stat.
const userHZ = 100

var pageSize = int64(os.Getpagesize())

// parseStat reads the fields 14, 15, 20 and 24 of /proc/PID/stat, proc(5).
func parseStat(b []byte) (u usage, err error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return u, fmt.Errorf("cannot parse stat: no command")
	}
	fields := bytes.Fields(b[end+1:])
	if len(fields) < 22 {
		return u, fmt.Errorf("cannot parse stat: %d fields after the command", len(fields))
	}
	var n [4]int64
	for i, at := range [4]int{11, 12, 17, 21} {
		if n[i], err = strconv.ParseInt(string(fields[at]), 10, 64); err != nil {
			return u, fmt.Errorf("cannot parse stat: %w", err)
		}
	}
	return usage{cpu: time.Duration(n[0]+n[1]) * (time.Second / userHZ), threads: int(n[2]), rss: n[3] * pageSize}, nil
}
