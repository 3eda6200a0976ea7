package watchdog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/psi"
)

// reader reads small files of the kernel into one buffer. What it returns is
// valid until the next call.
type reader struct {
	text    []byte
	listing []byte
}

// Sizes of what is read. A status has about 1.5 KiB, unless its process is in
// thousands of groups; what is needed of it is at its beginning.
const (
	lookText    = 8 << 10
	lookListing = 16 << 10 // about 500 threads
)

// file returns the beginning of a file, nothing if it cannot be read.
func (r *reader) file(path string) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	if r.text == nil {
		r.text = make([]byte, lookText)
	}
	for {
		n, err := unix.Read(fd, r.text)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return r.text[:max(n, 0)]
	}
}

func (r *reader) word(path string) string { return string(bytes.TrimSpace(r.file(path))) }

func (r *reader) keyed(path, key string) uint64 { return keyedNumber(r.file(path), key) }

func (r *reader) machine(now time.Duration) psi.Totals { return r.pressures("/proc/pressure", "", now) }

// pressures reads the three files of a cgroup, or of the machine.
func (r *reader) pressures(dir, suffix string, now time.Duration) psi.Totals {
	t := psi.Totals{At: now}
	var cpu, memory, io bool
	t.CPU, cpu = psi.Parse(r.file(dir+"/cpu"+suffix), psi.Some)
	t.Memory, memory = psi.Parse(r.file(dir+"/memory"+suffix), psi.Full)
	t.IO, io = psi.Parse(r.file(dir+"/io"+suffix), psi.Full)
	t.Known = cpu && memory && io
	return t
}

func (r *reader) throttle(cgroup string) throttle {
	text := r.file(cgroup + "/cpu.stat")
	return throttle{
		periods: keyedNumber(text, "nr_periods"), held: keyedNumber(text, "nr_throttled"),
		time: psi.Microseconds(keyedNumber(text, "throttled_usec")),
	}
}

func (r *reader) process(pid int) (procStat, bool) {
	return parseProcStat(r.file(procDir(pid) + "/stat"))
}

// tracer returns the process that traces the first thread of pid; 0: none. The
// kernel tells the one thread of it that does.
func (r *reader) tracer(pid int) int {
	thread := r.status(pid, "TracerPid:")
	if thread == 0 {
		return 0
	}
	if process := r.status(thread, "Tgid:"); process != 0 {
		return process
	}
	return thread // gone, or of another pid namespace
}

func (r *reader) status(pid int, key string) int {
	return int(min(keyedNumber(r.file(procDir(pid)+"/status"), key), maxPID))
}

// maxPID is PID_MAX_LIMIT of a 64-bit kernel.
const maxPID = 1 << 22

func (r *reader) comm(pid int) string { return string(bytes.TrimSpace(r.file(procDir(pid) + "/comm"))) }

func (r *reader) wchan(pid, tid int) string {
	w := r.word(procDir(pid) + "/task/" + strconv.Itoa(tid) + "/wchan")
	if w == "0" { // it runs, or we may not know
		return ""
	}
	return w
}

// group is the path of a process in the cgroup v2 hierarchy.
func (r *reader) group(pid int) string {
	for line := range bytes.Lines(r.file(procDir(pid) + "/cgroup")) {
		if path, ok := bytes.CutPrefix(line, []byte("0::")); ok {
			return string(bytes.TrimRight(path, "\n"))
		}
	}
	return ""
}

// oldFreezer is the directory of the cgroup v1 freezer group of a process, where it
// is usually mounted; "" when there is none.
func (r *reader) oldFreezer(pid int) string {
	for line := range bytes.Lines(r.file(procDir(pid) + "/cgroup")) {
		if _, path, ok := bytes.Cut(line, []byte(":freezer:")); ok {
			return "/sys/fs/cgroup/freezer" + string(bytes.TrimRight(path, "\n"))
		}
	}
	return ""
}

// threads reads the living threads of a process, MaxLooked at most, and for all
// of them, or only for those that wait in D, schedstat.
func (r *reader) threads(pid int, delays bool) map[int]thread {
	dir := procDir(pid) + "/task"
	all := map[int]thread{}
	for _, tid := range r.tids(dir) {
		own := dir + "/" + strconv.Itoa(tid)
		stat, ok := parseProcStat(r.file(own + "/stat"))
		if !ok || stat.state == 'Z' || stat.state == 'X' {
			continue
		}
		t := thread{state: stat.state, start: stat.start}
		if delays || stat.state == 'D' {
			t.delay, t.switches = parseRunDelay(r.file(own + "/schedstat"))
		}
		all[tid] = t
	}
	return all
}

// tids lists the first threads.
func (r *reader) tids(dir string) (tids []int) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	if r.listing == nil {
		r.listing = make([]byte, lookListing)
	}
	for len(tids) < MaxLooked {
		n, err := unix.ReadDirent(fd, r.listing)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		tids = appendTIDs(tids, r.listing[:n])
	}
	return tids[:min(len(tids), MaxLooked)]
}

// appendTIDs takes the numbers from structs linux_dirent64 of getdents64(2):
// inode (8 bytes), offset (8), length (2), type (1), name and NUL.
func appendTIDs(tids []int, entries []byte) []int {
	const nameAt = 19
	for len(entries) >= nameAt {
		size := int(binary.NativeEndian.Uint16(entries[16:]))
		if size < nameAt || size > len(entries) {
			break
		}
		name, _, _ := bytes.Cut(entries[nameAt:size], []byte{0})
		if tid, err := strconv.Atoi(string(name)); err == nil && tid > 0 && tid <= maxPID {
			tids = append(tids, tid)
		}
		entries = entries[size:]
	}
	return tids
}
