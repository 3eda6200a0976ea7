package proctask

import "time"

// CommSize is how much of a thread's name the kernel keeps: TASK_COMM_LEN (16)
// with its final NUL.
const CommSize = 15

// Task is one living thread as one scan saw it. Dead ones (states Z and X: the
// first thread of a process stays so until the last one has ended) are no Tasks.
type Task struct {
	TID   int
	Start uint64 // clock ticks since boot at which it began; with TID it is unique
	Comm  string // at most CommSize bytes of any kind
	State byte   // as in proc_pid_stat(5): R S D T t I ...

	// Switches counts how often it was given a processor. It begins anywhere.
	Switches uint64
	// Run is how long it has had one; 0 where the kernel has no schedstat.
	Run time.Duration
}

// Same says that both are one thread, and not one of a number that was used again.
func (t Task) Same(o Task) bool { return t.TID == o.TID && t.Start == o.Start }

// Moved says that the same thread has been given a processor since it was seen
// as before. A thread that computes without pause moves too: nothing in /proc
// tells an endless loop from work.
func (t Task) Moved(before Task) bool { return t.Switches != before.Switches || t.Run != before.Run }

// Scan is one look at the threads of a process.
type Scan struct {
	Tasks []Task        // those that were wanted; valid until the next Scan of the same Scanner
	Total int           // threads that exist, dead ones included
	Left  int           // of these not looked at, because there are more than MaxTasks
	Took  time.Duration // time that the scan needed
}
