package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the cgroup of one service. It is a name, not a resource: there is
// nothing to close, and Remove removes the kernel's group.
type Group struct {
	path string
	id   uint64
}

// ErrNotCgroup is a directory that is not one of a cgroup v2.
var ErrNotCgroup = errors.New("cgroup: not a cgroup v2 directory")

// Open returns the existing group at path.
func Open(path string) (Group, error) {
	var fsType unix.Statfs_t
	if err := unix.Statfs(path, &fsType); err != nil {
		return Group{}, fmt.Errorf("cannot open cgroup %s: %w", path, err)
	}
	if fsType.Type != unix.CGROUP2_SUPER_MAGIC {
		return Group{}, fmt.Errorf("cannot open cgroup %s: %w", path, ErrNotCgroup)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Group{}, fmt.Errorf("cannot open cgroup %s: %w", path, err)
	}
	return Group{path: path, id: st.Ino}, nil
}

// Path returns the directory.
func (g Group) Path() string { return g.path }

// ID returns the inode of the directory, which is the cgroup id of
// PIDFD_GET_INFO.
func (g Group) ID() uint64 { return g.id }

// OpenDir returns a close-on-exec descriptor for CLONE_INTO_CGROUP, which the
// caller closes.
func (g Group) OpenDir() (int, error) {
	fd, err := unix.Open(g.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot open cgroup %s: %w", g.path, err)
	}
	return fd, nil
}

// Populated says whether a process lives in the group or below it. Zombies do
// not count.
func (g Group) Populated() (bool, error) {
	n, err := g.value("cgroup.events", "populated")
	return n != 0, err
}

// Frozen says whether the group is frozen now (Linux 5.2).
func (g Group) Frozen() (bool, error) {
	n, err := g.value("cgroup.events", "frozen")
	return n != 0, err
}

// OOMKills returns how many processes of the group the out-of-memory killer
// has killed. Without the memory controller the error is fs.ErrNotExist.
func (g Group) OOMKills() (uint64, error) {
	return g.value("memory.events", "oom_kill")
}

// value reads the line "key N" of a flat keyed file.
func (g Group) value(file, key string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(g.path, file))
	if err != nil {
		return 0, fmt.Errorf("cannot read %s of cgroup: %w", file, err)
	}
	n, ok := keyed(string(text), key)
	if !ok {
		return 0, fmt.Errorf("cannot read %s of cgroup %s: no %q in it", file, g.path, key)
	}
	return n, nil
}

// keyed finds key in a flat keyed text.
func keyed(text, key string) (uint64, bool) {
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == key {
			n, err := strconv.ParseUint(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// maxDirs bounds the nested groups that are looked at.
const maxDirs = 4096

// dirs returns the group's directory and those below, parents first.
func (g Group) dirs() ([]string, error) {
	var list []string
	err := filepath.WalkDir(g.path, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we walk
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			list = append(list, path)
		}
		if len(list) > maxDirs {
			return fmt.Errorf("more than %d nested groups", maxDirs)
		}
		return nil
	})
	if err != nil {
		return list, fmt.Errorf("cannot list cgroup %s: %w", g.path, err)
	}
	return list, nil
}

// Procs returns the pids in the group and below it, without order. A pid that
// is not visible in our pid namespace is left out.
func (g Group) Procs() ([]int, error) {
	dirs, err := g.dirs()
	var pids []int
	for _, dir := range dirs {
		f, openErr := os.Open(filepath.Join(dir, "cgroup.procs"))
		if openErr != nil {
			if errors.Is(openErr, fs.ErrNotExist) {
				continue
			}
			return pids, fmt.Errorf("cannot list the processes of a cgroup: %w", openErr)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if pid, err := strconv.Atoi(lines.Text()); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		// EOPNOTSUPP: a threaded group; its processes are listed by the domain.
		scanErr := lines.Err()
		_ = f.Close() // read only
		if scanErr != nil && !errors.Is(scanErr, unix.EOPNOTSUPP) {
			return pids, fmt.Errorf("cannot list the processes of cgroup %s: %w", dir, scanErr)
		}
	}
	return pids, err
}

// Freeze asks for all processes to be stopped (true) or resumed, without any
// signal (Linux 5.2). It returns at once; WaitFrozen tells when it is done.
func (g Group) Freeze(on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	return g.write("cgroup.freeze", value)
}

func (g Group) write(file, value string) error {
	f, err := os.OpenFile(filepath.Join(g.path, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s of cgroup: %w", file, err)
	}
	defer f.Close()
	if _, err := f.WriteString(value); err != nil {
		return fmt.Errorf("cannot write %q to %s of cgroup %s: %w", value, file, g.path, err)
	}
	return nil
}

// WaitEmpty returns nil when no process lives in the group or below it, or the
// cause of ctx.
func (g Group) WaitEmpty(ctx context.Context) error {
	return g.wait(ctx, g.isEmpty)
}

// isEmpty also takes a removed group for empty.
func (g Group) isEmpty() (bool, error) {
	populated, err := g.Populated()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return true, nil
	}
	return !populated, err
}

// WaitFrozen returns nil when the group is frozen, or the cause of ctx.
func (g Group) WaitFrozen(ctx context.Context) error {
	return g.wait(ctx, g.Frozen)
}

// wait watches cgroup.events, of which the kernel tells changes as
// modifications to inotify, without a thread, until done says yes.
func (g Group) wait(ctx context.Context, done func() (bool, error)) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot watch cgroup %s: %w", g.path, err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	_, err = unix.InotifyAddWatch(fd, filepath.Join(g.path, "cgroup.events"), unix.IN_MODIFY)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot watch cgroup %s: %w", g.path, err)
	}
	// A deadline in the past wakes the poller.
	defer context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 4096)
	for {
		// Asked after the watch is armed, so that no change is missed.
		if ok, err := done(); ok || err != nil {
			return err
		}
		// A removed group ends its watch, which is an event too.
		if _, err := events.Read(buf); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("cannot watch cgroup %s: %w", g.path, err)
		}
	}
}

// Take moves a process into the group, out of the one it is in.
func (g Group) Take(pid int) error {
	if err := g.write("cgroup.procs", strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("cannot move process %d to cgroup %s: %w", pid, g.path, err)
	}
	return nil
}
