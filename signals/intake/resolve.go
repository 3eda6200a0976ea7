package intake

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/signals"
)

// resolve adds what proc(5) knows of a sender that the kernel vouches for. A
// sender that is gone stays without a command. If its number was given away in
// the meantime, in some tens of microseconds, the answer is wrong; nobody can
// tell. Neither file that is read waits for a lock that its process can hold.
func resolve(s *signals.Sender) {
	if s.Forged || s.PID <= 0 {
		return
	}
	var ok bool
	if s.Command, s.Parent, ok = whoIs(s.PID); ok && s.Parent > 0 {
		s.ParentCommand, _, _ = whoIs(s.Parent)
	}
}

// whoIs reads comm and ppid of a process. Plain system calls: the file is
// neither to be polled nor to be finalised, and the sender is about to end.
func whoIs(pid int) (command string, parent int, ok bool) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", 0, false
	}
	defer unix.Close(fd)
	var buffer [512]byte // comm and ppid are within the first 100 bytes
	n, err := unix.Read(fd, buffer[:])
	if err != nil || n <= 0 {
		return "", 0, false
	}
	return parseStat(buffer[:n])
}

// parseStat reads "PID (COMM) STATE PPID ..." of proc_pid_stat(5). COMM may hold
// parentheses and blanks, so it ends at the last parenthesis.
func parseStat(b []byte) (command string, parent int, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return "", 0, false
	}
	fields := bytes.Fields(b[end+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil || parent < 0 {
		return "", 0, false
	}
	return string(b[open+1 : end]), parent, true
}
