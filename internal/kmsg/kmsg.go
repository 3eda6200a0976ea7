// Package kmsg reads the kernel's log, /dev/kmsg (Documentation/ABI/testing/
// dev-kmsg): one record for each read(2), "LEVEL,SEQUENCE,MICROSECONDS,FLAGS;TEXT".
package kmsg

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of one look.
const (
	maxRecords = 100_000
	maxRecord  = 8 << 10 // the kernel's own limit is 8 KiB, CONSOLE_EXT_LOG_MAX
	maxTime    = 100 * time.Millisecond
	maxText    = 400
)

// path is the device; another one in tests.
var path = "/dev/kmsg"

// OOMKill returns the record with which the kernel told that it killed a process
// for want of memory, "" when there is none since a moment: a time after boot, as
// the kernel counts it. The pid is that of the first pid namespace. An error says
// why the log cannot be read: it needs CAP_SYSLOG where kernel.dmesg_restrict is
// set.
func OOMKill(pid int, since time.Duration) (text string, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("cannot read the kernel's log: %w", err)
	}
	defer unix.Close(fd)
	end := time.Now().Add(maxTime)
	buf := make([]byte, maxRecord)
	for range maxRecords {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EPIPE): // records were overwritten meanwhile
			continue
		case errors.Is(err, unix.EAGAIN), err == nil && n == 0:
			return text, nil
		case err != nil:
			return text, fmt.Errorf("cannot read the kernel's log: %w", err)
		}
		if at, said, ok := parse(string(buf[:n])); ok && at >= since && killed(said, pid) {
			text = said
		}
		if time.Now().After(end) {
			return text, errors.New("cannot read the kernel's log to its end: it takes too long")
		}
	}
	return text, nil
}

// parse takes a record apart; the lines after the first are key=value pairs.
func parse(record string) (at time.Duration, text string, ok bool) {
	head, text, ok := strings.Cut(record, ";")
	if !ok {
		return 0, "", false
	}
	fields := strings.Split(head, ",")
	if len(fields) < 4 {
		return 0, "", false
	}
	micros, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || micros < 0 || micros > int64(1<<63-1)/int64(time.Microsecond) {
		return 0, "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	return time.Duration(micros) * time.Microsecond, text[:min(len(text), maxText)], true
}

// killed says whether a record tells that the kernel killed pid for memory:
// "Out of memory: Killed process 42 (name) total-vm:...", with "Memory cgroup out
// of memory" where the limit of a cgroup was reached (__oom_kill_process in
// mm/oom_kill.c, Linux 6.18).
func killed(text string, pid int) bool {
	_, rest, ok := strings.Cut(text, "ut of memory: Killed process ")
	if !ok {
		return false
	}
	number, _, ok := strings.Cut(rest, " ")
	return ok && number == strconv.Itoa(pid)
}
