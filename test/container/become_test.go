package container

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary is the runtime of its containers: as pid 1 of the new
// namespaces it prepares them and then becomes the entry point by execve.
const (
	roleBox = "be-a-container"
	exitBox = 99
)

// Layout is what a container looks like inside.
type Layout struct {
	Shared    string // a directory that is the same inside and outside, writable
	Entry     []string
	Env       []string
	UID       int
	ForeignFS bool // /proc stays that of the outer namespace
	NoProc    bool
	Cgroup    string // "": as outside; "none"; "read-only"
	ReadOnly  bool   // the root file system
	NoRun     bool   // /run is not a tmpfs, but read-only
	NoReaper  bool   // prctl(PR_SET_CHILD_SUBREAPER) is refused
}

// become does not return if it works.
func become(text string) error {
	var l Layout
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return err
	}
	if err := l.mount(); err != nil {
		return err
	}
	if l.UID != 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return err
		}
		if err := syscall.Setresgid(l.UID, l.UID, l.UID); err != nil {
			return err
		}
		if err := syscall.Setresuid(l.UID, l.UID, l.UID); err != nil {
			return err
		}
	}
	if l.NoReaper {
		if err := refuseSubreaper(); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot become %s: %w", l.Entry[0], syscall.Exec(l.Entry[0], l.Entry, l.Env))
}

func (l Layout) mount() error {
	steps := []func() error{
		mounting("none", "/", "", unix.MS_REC|unix.MS_PRIVATE),
		mounting(l.Shared, l.Shared, "", unix.MS_BIND),
	}
	if !l.NoRun {
		steps = append(steps, mounting("tmpfs", "/run", "tmpfs", 0))
	}
	if !l.ForeignFS {
		steps = append(steps, mounting("proc", "/proc", "proc", 0))
	}
	if l.NoProc {
		steps = append(steps, mounting("tmpfs", "/proc", "tmpfs", 0))
	}
	switch l.Cgroup {
	case "none":
		steps = append(steps, func() error { return unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH) })
	case "read-only":
		steps = append(steps,
			mounting("tmpfs", "/sys/fs/cgroup", "tmpfs", 0),
			mounting("cgroup2", "/sys/fs/cgroup", "cgroup2", unix.MS_RDONLY))
	}
	if l.ReadOnly {
		steps = append(steps, mounting("none", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY))
	}
	if l.UID != 0 {
		steps = append(steps, func() error { return os.Chmod("/run", 0o777) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func mounting(source, target, kind string, flags uintptr) func() error {
	return func() error {
		if err := unix.Mount(source, target, kind, flags, ""); err != nil {
			return fmt.Errorf("cannot mount %s on %s: %w", source, target, err)
		}
		return nil
	}
}

// refuseSubreaper makes the kernel answer EPERM, as a strict seccomp profile
// could: seccomp(2), the program works on struct seccomp_data.
func refuseSubreaper() error {
	const (
		load, equal, answer     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		allow, refuse           = 0x7fff0000, 0x00050000 | uint32(unix.EPERM)
		number, firstArgument   = 0, 16
		setModeFilter, allTasks = 1, 1
	)
	program := []unix.SockFilter{
		{Code: load, K: number},
		{Code: equal, K: uint32(unix.SYS_PRCTL), Jf: 3},
		{Code: load, K: firstArgument},
		{Code: equal, K: unix.PR_SET_CHILD_SUBREAPER, Jf: 1},
		{Code: answer, K: refuse},
		{Code: answer, K: allow},
	}
	list := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, setModeFilter, allTasks, uintptr(unsafe.Pointer(&list)))
	if errno != 0 {
		return fmt.Errorf("cannot set a seccomp filter: %w", errno)
	}
	return nil
}
