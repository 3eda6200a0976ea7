package supervisor

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Light evidence is what /proc shows of a process that is late, while nothing
// is done to it: each thread with its state, and where in the kernel it waits.

// Bounds of light evidence.
const (
	maxLightThreads = 1024
	maxLightText    = 16 << 10 // bytes of one file
)

// lookLightly reads the threads of a process, proc(5). What is refused is said.
func lookLightly(pid int) (snapshot.Process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	out := snapshot.Process{Schema: snapshot.SchemaVersion, PID: pid, Threads: []snapshot.Thread{}}
	status, err := readShort(filepath.Join(dir, "status"))
	if err != nil {
		return out, err
	}
	out.Status, out.Taken = lines(status), time.Now().UTC()
	if p, err := proctree.Read(pid); err == nil { // with the pid it names the process
		out.StartTicks, out.PPID = p.Ticks, p.PPID
	}
	out.Comm, out.State = field(out.Status, "Name"), firstLetter(field(out.Status, "State"))
	tasks, err := os.Open(filepath.Join(dir, "task"))
	if err != nil {
		return out, err
	}
	defer tasks.Close()
	names, err := tasks.Readdirnames(maxLightThreads)
	if err != nil && !errors.Is(err, io.EOF) {
		return out, err
	}
	out.ThreadCount, _ = strconv.Atoi(field(out.Status, "Threads"))
	refused := map[string]bool{}
	for _, name := range names {
		if t, ok := lightThread(filepath.Join(dir, "task", name), refused); ok {
			out.Threads = append(out.Threads, t)
		}
	}
	for why := range refused {
		out.Denied = append(out.Denied, why)
	}
	if out.ThreadCount > len(out.Threads) {
		out.Denied = append(out.Denied, "threads: "+strconv.Itoa(out.ThreadCount-len(out.Threads))+" were not looked at, or have ended meanwhile")
	}
	return out, nil
}

func lightThread(dir string, refused map[string]bool) (t snapshot.Thread, ok bool) {
	status, err := readShort(filepath.Join(dir, "status"))
	if err != nil {
		return t, false // it has ended
	}
	list := lines(status)
	t.TID, _ = strconv.Atoi(filepath.Base(dir))
	t.Comm, t.State = field(list, "Name"), firstLetter(field(list, "State"))
	t.Voluntary, _ = strconv.ParseInt(field(list, "voluntary_ctxt_switches"), 10, 64)
	t.Involuntary, _ = strconv.ParseInt(field(list, "nonvoluntary_ctxt_switches"), 10, 64)
	t.UserTime, t.SystemTime = lightTimes(filepath.Join(dir, "stat"))
	if wchan, err := readShort(filepath.Join(dir, "wchan")); err == nil {
		t.Wchan = string(wchan)
	}
	stack, err := readShort(filepath.Join(dir, "stack"))
	if errors.Is(err, os.ErrPermission) {
		refused["stack: permission denied (needs CAP_SYS_ADMIN)"] = true
	}
	for _, line := range lines(stack) {
		_, frame, _ := strings.Cut(line, "] ")
		t.KernelStack = append(t.KernelStack, frame)
	}
	return t, true
}

// userHZ is what proc(5) counts processor time in, per second.
const userHZ = 100

// lightTimes are fields 14 utime and 15 stime of a stat, proc_pid_stat(5); 0 where
// they cannot be read.
func lightTimes(path string) (user, system snapshot.Seconds) {
	text, err := readShort(path)
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // fields[0] is field 3
	if len(fields) < 13 {
		return 0, 0
	}
	u, err1 := strconv.ParseUint(string(fields[11]), 10, 64)
	s, err2 := strconv.ParseUint(string(fields[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return snapshot.Seconds(float64(u) / userHZ), snapshot.Seconds(float64(s) / userHZ)
}

// readShort reads the beginning of a file of /proc.
func readShort(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLightText))
}

func lines(text []byte) []string {
	var all []string
	for line := range bytes.Lines(text) {
		all = append(all, strings.TrimSuffix(string(line), "\n"))
	}
	return all
}

// field is the value of a line "Name:\tvalue" of /proc/PID/status.
func field(status []string, name string) string {
	for _, line := range status {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstLetter(s string) string { return s[:min(len(s), 1)] }
