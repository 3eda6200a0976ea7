package native

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// target is a process as it was before anybody attached to it.
type target struct {
	pid     int
	fd      pidfd.FD
	tasks   []task // at most snapshot.MaxThreads
	count   int    // how many threads there were
	tracer  int
	stopped bool // by a signal, before we came
	modules modules
	began   time.Time
}

// task is one thread as /proc showed it.
type task struct {
	tid    int
	name   string
	state  byte // of proc_pid_stat(5)
	wchan  string
	futex  uint64 // address of the word that it waits on, 0: it does not
	tracer int
	stop   bool // a SIGSTOP is pending
}

// maxFile bounds a small file of /proc.
const maxFile = 64 << 10

// look reads the threads of a process.
func look(pid int, fd pidfd.FD) (*target, error) {
	t := &target{pid: pid, fd: fd, began: time.Now()}
	tids, err := listTasks(pid)
	if err != nil {
		return nil, err
	}
	t.count = len(tids)
	for _, tid := range tids[:min(len(tids), snapshot.MaxThreads)] {
		k, err := readTask(pid, tid)
		if err != nil {
			continue // it ended
		}
		k.wchan, k.futex = readWchan(pid, tid), readFutex(pid, tid)
		if k.tracer != 0 {
			t.tracer = k.tracer
		}
		t.stopped = t.stopped || k.state == 'T'
		t.tasks = append(t.tasks, k)
	}
	t.modules = readModules(pid)
	return t, nil
}

// listTasks lists the threads, by number.
func listTasks(pid int) ([]int, error) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("cannot list threads: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("cannot list threads: %w", err)
	}
	var tids []int
	for _, name := range names {
		if tid, err := strconv.Atoi(name); err == nil {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	return tids, nil
}

func readTask(pid, tid int) (task, error) {
	text, err := readSmall(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return task{}, err
	}
	k := parseStatus(text)
	k.tid = tid
	return k, nil
}

// sigstopBit is that of SIGSTOP in the masks of proc_pid_status(5).
const sigstopBit = 1 << (uint(syscall.SIGSTOP) - 1)

// parseStatus reads the fields of proc_pid_status(5) that are needed.
func parseStatus(text []byte) task {
	var k task
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(string(line), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			k.name = value
		case "State":
			if value != "" {
				k.state = value[0]
			}
		case "TracerPid":
			k.tracer, _ = strconv.Atoi(value)
		case "SigPnd", "ShdPnd":
			mask, err := strconv.ParseUint(value, 16, 64)
			k.stop = k.stop || err == nil && mask&sigstopBit != 0
		}
	}
	return k
}

func readWchan(pid, tid int) string {
	text, err := readSmall(fmt.Sprintf("/proc/%d/task/%d/wchan", pid, tid))
	if err != nil || len(text) > 64 || string(text) == "0" {
		return ""
	}
	return string(text)
}

// readFutex is the address on which a thread waits by futex(2).
func readFutex(pid, tid int) uint64 {
	text, err := readSmall(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
	if err != nil {
		return 0
	}
	return parseFutex(text)
}

// parseFutex reads proc_pid_syscall(5): number, six arguments, stack pointer,
// program counter; or "running".
func parseFutex(text []byte) uint64 {
	fields := strings.Fields(string(text))
	if len(fields) != 9 || fields[0] != strconv.Itoa(sysFutex) {
		return 0
	}
	addr, err := strconv.ParseUint(fields[1], 0, 64)
	if err != nil {
		return 0
	}
	return addr
}

func readSmall(path string) ([]byte, error) { return readLarge(path, maxFile) }

func readLarge(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

func (t *target) task(tid int) (task, bool) {
	i, ok := slices.BinarySearchFunc(t.tasks, tid, func(k task, tid int) int { return k.tid - tid })
	if !ok {
		return task{}, false
	}
	return t.tasks[i], true
}
