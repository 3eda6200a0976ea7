package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Kill kills all processes in the group and below it, frozen ones included. It
// returns when they are signalled; WaitEmpty tells when they are gone. The
// kernel does it in one step since Linux 5.14 (cgroup.kill); before, the group
// is frozen, so that nothing can fork, and its processes are killed one by one.
func (g Group) Kill() error {
	err := g.write("cgroup.kill", "1")
	if errors.Is(err, fs.ErrNotExist) && g.exists() {
		return g.killEach()
	}
	if err != nil {
		return fmt.Errorf("cannot kill: %w", err)
	}
	return nil
}

// exists tells a kernel without cgroup.kill from a removed group.
func (g Group) exists() bool {
	_, err := os.Stat(g.path)
	return err == nil
}

// maxRounds bounds the passes of killEach. Each pass finds fewer: a process
// with a pending KILL cannot fork.
const maxRounds = 100

// killEach is Kill for Linux before 5.14. A pid read from cgroup.procs could be
// reused before it is signalled, so membership is asked again with a pidfd in
// hand.
func (g Group) killEach() error {
	// Freezing is a help, not a need: before Linux 5.2 there is no such file.
	frozen := g.Freeze(true) == nil
	var last error
	for range maxRounds {
		pids, err := g.Procs()
		if err != nil {
			last = err
			break
		}
		fresh := 0
		for _, pid := range pids {
			sent, err := g.killMember(pid)
			if err != nil {
				last = err
			}
			if sent {
				fresh++
			}
		}
		if fresh == 0 {
			break
		}
		// A frozen process dies of KILL since Linux 5.2 without being thawed,
		// so what is listed in the next round has just been forked.
		if empty, err := g.isEmpty(); empty && err == nil {
			break
		}
	}
	if frozen {
		if err := g.Freeze(false); err != nil && last == nil && g.exists() {
			last = err
		}
	}
	return last
}

// killMember kills pid if it is still a member of the group. A process that is
// already dying counts as not sent.
func (g Group) killMember(pid int) (sent bool, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot open pidfd of process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	members, err := g.Procs()
	if err != nil {
		return false, err
	}
	for _, m := range members {
		if m != pid {
			continue
		}
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, fmt.Errorf("cannot kill process %d: %w", pid, err)
		}
		return true, nil
	}
	return false, nil
}

// Remove removes the group, nested groups first. One that holds processes is
// unix.EBUSY; one that is gone is no error.
func (g Group) Remove() error {
	dirs, err := g.dirs()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := unix.Rmdir(dirs[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot remove cgroup %s: %w", dirs[i], err)
		}
	}
	return nil
}
