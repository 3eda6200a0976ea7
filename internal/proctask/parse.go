package proctask

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// errForm is a file that is not what its manual page describes.
var errForm = errors.New("malformed")

// maxComm bounds the name in stat. Threads of programs have CommSize; those of
// the kernel's own work queues have more.
const maxComm = 64

// stat is what is needed of proc_pid_stat(5).
type stat struct {
	comm  []byte // within the text
	state byte   // field 3
	start uint64 // field 22
}

// parseStat reads /proc/PID/task/TID/stat. The name, field 2, may hold any byte,
// brackets and spaces included.
func parseStat(text []byte) (stat, error) {
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if begin < 0 || end < begin || end-begin-1 > maxComm {
		return stat{}, errForm
	}
	s := stat{comm: text[begin+1 : end]}
	rest := fields{text[end+1:]}
	word := rest.next() // field 3
	if len(word) != 1 {
		return stat{}, errForm
	}
	s.state = word[0]
	rest.skip(22 - 4)
	var ok bool
	if s.start, ok = number(rest.next()); !ok {
		return stat{}, errForm
	}
	return s, nil
}

// maxRun keeps a time within a time.Duration: 100 years.
const maxRun = 100 * 366 * 24 * uint64(time.Hour)

// parseSchedstat reads /proc/PID/task/TID/schedstat: nanoseconds on a processor,
// nanoseconds in its queue, times put on one (Documentation/scheduler/sched-stats.rst).
func parseSchedstat(text []byte) (run time.Duration, switches uint64, err error) {
	rest := fields{text}
	ran, ok1 := number(rest.next())
	rest.skip(1)
	switches, ok2 := number(rest.next())
	if !ok1 || !ok2 || ran > maxRun {
		return 0, 0, errForm
	}
	return time.Duration(ran), switches, nil
}

// parseStatus adds up both counts of context switches at the end of
// /proc/PID/task/TID/status.
func parseStatus(text []byte) (switches uint64, err error) {
	const own, other = "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"
	found := 0
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		// The name of the thread is in a line too, and cannot fake these: its line
		// begins with "Name:", and a newline in it is written as \n.
		for _, key := range []string{own, other} {
			value, ok := bytes.CutPrefix(line, []byte(key))
			if !ok {
				continue
			}
			n, ok := number(bytes.TrimSpace(value))
			if !ok {
				return 0, errForm
			}
			switches += n
			found++
		}
	}
	if found != 2 {
		return 0, errForm
	}
	return switches, nil
}

// fields walks over words parted by blanks.
type fields struct{ rest []byte }

func (f *fields) next() []byte {
	f.rest = bytes.TrimLeft(f.rest, " \n")
	end := bytes.IndexAny(f.rest, " \n")
	if end < 0 {
		end = len(f.rest)
	}
	word := f.rest[:end]
	f.rest = f.rest[end:]
	return word
}

func (f *fields) skip(n int) {
	for range n {
		f.next()
	}
}

func number(word []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(word), 10, 64)
	return n, err == nil
}
