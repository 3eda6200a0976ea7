package native

import (
	"os"
	"strconv"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Task is one thread as the kernel shows it.
type Task struct {
	TID    int
	Name   string
	Status string // in the words of snapshot.Group
	Wait   string // why it waits, as far as the kernel tells; in the words of Group.WaitReason
}

// Tasks lists the threads of a process, at most snapshot.MaxThreads.
func Tasks(pid int) []Task {
	tids, err := listTasks(pid)
	if err != nil {
		return nil // it is gone
	}
	var list []Task
	for _, tid := range tids[:min(len(tids), snapshot.MaxThreads)] {
		k, err := readTask(pid, tid)
		if err != nil {
			continue
		}
		one := Task{TID: tid, Name: k.name, Status: status(k.state)}
		if k.state != 'R' {
			one.Wait = waitsInKernel(readWchan(pid, tid))
		}
		list = append(list, one)
	}
	return list
}

// OfPthread finds the TID of the thread that pthread_self(3) names, 0: not found.
// glibc keeps it in its struct pthread; where, differs by architecture (nptl,
// glibc 2.31 to 2.42), so only the number of a thread that exists counts.
func OfPthread(pid int, self uint64, tasks []Task) int {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	if err != nil {
		return 0
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], int64(self)+pthreadTID); err != nil {
		return 0
	}
	tid := int(b[0]) | int(b[1])<<8 | int(b[2])<<16 | int(b[3])<<24
	for _, k := range tasks {
		if k.TID == tid {
			return tid
		}
	}
	return 0
}
