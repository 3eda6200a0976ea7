package pidfd

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Info is what the kernel tells about the process of a pidfd. Has… say which
// parts it told.
type Info struct {
	PID, TGID, PPID int
	UID, GID        uint32 // real
	HasPID          bool   // also for UID and GID; false once the process is reaped
	CgroupID        uint64 // inode of its cgroup v2 directory
	HasCgroup       bool
	// Exit is the wait status of a process that its parent has reaped, also of
	// one that is not our child (Linux 6.15).
	Exit    syscall.WaitStatus
	HasExit bool
}

// Info asks with PIDFD_GET_INFO (Linux 6.13). On older kernels the error is
// unix.ENOTTY or unix.EINVAL; before Linux 6.15 a process that is gone is
// unix.ESRCH.
func (fd FD) Info() (Info, error) {
	in := unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CREDS | unix.PIDFD_INFO_CGROUPID | unix.PIDFD_INFO_EXIT}
	// The number of the ioctl carries the size, and every kernel accepts sizes
	// from the first version's, 64 bytes, which has all that is read here.
	const request = unix.PIDFD_GET_INFO&^(0x3fff<<16) | unix.PIDFD_INFO_SIZE_VER0<<16
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&in)))
	runtime.KeepAlive(&in)
	if errno != 0 {
		return Info{}, fmt.Errorf("cannot ask for the process of pidfd %d: %w", int(fd), errno)
	}
	return Info{
		PID: int(in.Pid), TGID: int(in.Tgid), PPID: int(in.Ppid), UID: in.Ruid, GID: in.Rgid,
		HasPID:   in.Mask&unix.PIDFD_INFO_PID != 0 && in.Pid != 0,
		CgroupID: in.Cgroupid, HasCgroup: in.Mask&unix.PIDFD_INFO_CGROUPID != 0,
		Exit: syscall.WaitStatus(uint32(in.Exit_code)), HasExit: in.Mask&unix.PIDFD_INFO_EXIT != 0,
	}, nil
}
