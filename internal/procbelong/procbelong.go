// Package procbelong answers one question: is that process part of this
// service? It is asked for every datagram that claims to speak for a service.
//
// The good answer comes from the cgroup, which no process leaves by forking,
// daemonising or changing its session. The inode number of a cgroup's
// directory is the cgroup id that PIDFD_GET_INFO (Linux 6.13) reports, also of
// a process that is dead and reaped by now, so even a short-lived sender such
// as systemd-notify can be attributed. Where a service has no cgroup the
// answer comes from the chain of parents in /proc, which a process leaves when
// it daemonises.
package procbelong

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the walk towards the main process.
const maxDepth = 64

// Members is a service as far as membership goes. It is immutable and may be
// used by several goroutines. The zero value has no members.
type Members struct {
	cgroupID   uint64
	cgroupPath string // as in /proc/PID/cgroup of a process in our namespace; "" when unknown
	mainPID    int
}

// Cgroup returns the members of the cgroup v2 whose directory is dir, those of
// cgroups below it included (a service may be delegated its own subtree).
func Cgroup(dir string) (Members, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return Members{}, fmt.Errorf("cannot stat cgroup %s: %w", dir, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Members{}, fmt.Errorf("cannot stat the file system of cgroup %s: %w", dir, err)
	}
	if int64(fs.Type) != unix.CGROUP2_SUPER_MAGIC {
		return Members{}, fmt.Errorf("cannot use %s as a cgroup: %w", dir, errors.New("not a cgroup v2 directory"))
	}
	return Members{cgroupID: st.Ino, cgroupPath: pathInMount(dir, st.Dev)}, nil
}

// Tree returns the process mainPID and its living descendants. The caller
// keeps the pid from being reused, by not reaping it.
func Tree(mainPID int) Members {
	return Members{mainPID: mainPID}
}

// Belongs says whether the process is a member and, if not, why. pidfd must
// refer to the same process as pid and stays the caller's; -1 means that there
// is none (before Linux 6.5), then a pid that was reused between the sending
// and the question is judged by its new owner.
func (m Members) Belongs(pid, pidfd int) (ok bool, why string) {
	if pid <= 0 {
		return false, "sender is in a pid namespace that cannot be seen from here"
	}
	if m.cgroupID != 0 {
		return m.byCgroup(pid, pidfd)
	}
	return m.byTree(pid, pidfd)
}

func (m Members) byCgroup(pid, pidfd int) (bool, string) {
	if id, ok := cgroupID(pidfd); ok && id == m.cgroupID {
		return true, ""
	}
	// Either the kernel cannot say, or the process may sit in a cgroup below.
	path, err := cgroupOf(pid)
	if err != nil || gone(pidfd) {
		return false, "sender gone"
	}
	if m.cgroupPath != "" && (path == m.cgroupPath || strings.HasPrefix(path, strings.TrimSuffix(m.cgroupPath, "/")+"/")) {
		return true, ""
	}
	return false, fmt.Sprintf("process %d is in cgroup %s", pid, path)
}

func (m Members) byTree(pid, pidfd int) (bool, string) {
	if m.mainPID <= 0 {
		return false, "the service has no process"
	}
	at := pid
	for range maxDepth {
		if at == m.mainPID {
			if gone(pidfd) {
				// What /proc said may have been about the next owner of the pid.
				return false, "sender gone"
			}
			return true, ""
		}
		if at <= 1 {
			break
		}
		parent, err := parentOf(at)
		if err != nil {
			return false, "sender gone"
		}
		at = parent
	}
	return false, fmt.Sprintf("process %d does not descend from process %d", pid, m.mainPID)
}

// cgroupID asks the kernel for the cgroup of the process behind pidfd.
func cgroupID(pidfd int) (uint64, bool) {
	if pidfd < 0 {
		return 0, false
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_CGROUPID}
	// ENOTTY before Linux 6.13; ESRCH for a reaped process before 6.15.
	if err := unix.IoctlPidfdInfo(pidfd, &info); err != nil {
		return 0, false
	}
	return info.Cgroupid, info.Mask&unix.PIDFD_INFO_CGROUPID != 0
}

// gone says that the process behind pidfd has been reaped, so that its number
// may belong to another one. Without a pidfd nobody can tell: false.
func gone(pidfd int) bool {
	return pidfd >= 0 && errors.Is(unix.PidfdSendSignal(pidfd, 0, nil, 0), syscall.ESRCH)
}

// cgroupOf reads the path of a process in the cgroup v2 hierarchy.
func cgroupOf(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", err
	}
	return parseCgroup(string(b))
}

// parseCgroup finds the line "0::PATH" of proc_pid_cgroup(5).
func parseCgroup(text string) (string, error) {
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			// Appended by the kernel when the directory was removed.
			return strings.TrimSuffix(path, " (deleted)"), nil
		}
	}
	return "", errors.New("no cgroup v2 line")
}

// parentOf reads the parent's pid, the second field after the command.
func parentOf(pid int) (int, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	return parseParent(string(b))
}

// parseParent takes the parent's pid out of a line of proc_pid_stat(5). The
// command is in parentheses and may hold any byte, parentheses too.
func parseParent(stat string) (int, error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("no command in stat line")
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 2 {
		return 0, errors.New("short stat line")
	}
	return strconv.Atoi(fields[1])
}

// pathInMount returns dir relative to the root of its mount, which is the
// highest directory above it on the same device. That is the path that
// /proc/PID/cgroup shows, as long as no subtree is bind-mounted; if one is,
// only the id decides.
func pathInMount(dir string, dev uint64) string {
	dir = strings.TrimSuffix(dir, "/")
	root := dir
	for {
		at := strings.LastIndexByte(root, '/')
		if at <= 0 {
			return ""
		}
		var st unix.Stat_t
		if unix.Stat(root[:at], &st) != nil || st.Dev != dev {
			break
		}
		root = root[:at]
	}
	if root == dir {
		return "/"
	}
	return dir[len(root):]
}
