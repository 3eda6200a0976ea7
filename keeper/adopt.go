package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/proctree"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// adopt takes over what a keeper of this name, which was killed, has left: its
// services run on as children of somebody else. They are known by pid and start
// time, and by their cgroup; their output by the pipes that they still hold.
func (k *Keeper) adopt() {
	l := k.records.read()
	for _, bad := range l.bad {
		fmt.Fprintf(os.Stderr, "vigil: cannot use a record of the keeper before: %s\n", bad)
	}
	k.sup.epoch = l.super.Epoch
	outlive(l.super)
	for key, text := range l.notes {
		k.notes[key] = text
	}
	slices.SortFunc(l.children, func(a, b record) int {
		return int(min(max(a.Started.Boot-b.Started.Boot, -1), 1))
	})
	for _, rec := range l.children {
		k.adoptChild(rec)
	}
}

// How long the supervisor of a dead keeper may take to end by itself, and to
// be gone once it is killed.
const (
	lastWordsTime = 3 * time.Second
	deathTime     = 5 * time.Second
)

// outlive sees the end of the supervisor of a dead keeper. It ends by itself,
// for its socket is closed; until then it may write output.
func outlive(s superRecord) {
	if s.PID <= 1 || !pidfd.Same(s.PID, s.Ticks) {
		return
	}
	fd, err := pidfd.Open(s.PID)
	if err != nil {
		return
	}
	defer fd.Close()
	if !pidfd.Same(s.PID, s.Ticks) {
		return
	}
	for _, patience := range []time.Duration{lastWordsTime, deathTime} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err = fd.Dead(ctx)
		cancel()
		if err == nil {
			return
		}
		_ = fd.Signal(unix.SIGKILL)
	}
	fmt.Fprintf(os.Stderr, "vigil: the supervisor of the keeper before, pid %d, is still there\n", s.PID)
}

func (k *Keeper) adoptChild(rec record) {
	c := newChild(protocol.Start{Key: rec.Key, Instance: rec.Instance, Helper: rec.Helper, StopSignal: rec.StopSignal, StopTimeout: rec.StopTimeout})
	c.adopted, c.starting, c.started, c.exit = true, false, rec.Started, rec.Exit
	reaper := 1
	if p, err := proctree.Read(rec.Started.PID); err == nil && p.Ticks == rec.Started.Ticks {
		reaper = p.PPID
	}
	k.adoptTree(c, rec, reaper)
	if rec.Starting {
		if !findStarted(c, k.mark(c)) {
			k.records.dropChild(c) // it was never started
			c.close()
			return
		}
	}
	k.add(c)
	if c.exit == nil && !c.hold() {
		c.exit = &protocol.Exit{Unknown: true, Boot: clock.Boot()}
		fmt.Fprintf(os.Stderr, "vigil: %s, pid %d, has ended while no keeper ran\n", c.id, rec.Started.PID)
	}
	if c.exit != nil {
		// The supervisor may have heard of it, and then knows better.
		k.tell(protocol.Event{Key: rec.Key, Inst: rec.Instance, Kind: protocol.EventExited, Exit: c.exit, Boot: c.exit.Boot})
		// Nobody waits for its end any more: what is left of it goes.
		if empty, err := c.tree.Empty(); err == nil && empty {
			k.setEmpty(c)
		} else {
			k.killChild(c)
		}
		k.records.child(c)
		return
	}
	k.byPID[c.started.PID] = c
	if w, ok := c.tree.(*walkTree); ok {
		w.started(c.started.PID)
	}
	c.out, c.err = findOutputs(c, rec.Outputs)
	k.records.child(c)
	go watchAdopted(k.ctx, pidfd.FD(c.pidfd), c.started.PID, k.deaths)
	if !rec.Helper {
		fmt.Fprintf(os.Stderr, "vigil: adopted %s, pid %d\n", c.id, c.started.PID)
	}
}

func (k *Keeper) adoptTree(c *child, rec record, reaper int) {
	if rec.Cgroup != "" && strings.HasPrefix(filepath.Base(filepath.Dir(rec.Cgroup)), "vigil-"+k.opt.Name+".") {
		if g, err := cgroup.Open(rec.Cgroup); err == nil {
			c.tree = cgroupTree{g}
			c.started.Cgroup = rec.Cgroup
			return
		}
	}
	c.started.Cgroup = ""
	c.tree = newWalkTree(reaper, c.id, k.mark(c))
}

// hold opens the process of an adopted child, if it is still that process. The
// start time is read with the pidfd in hand.
func (c *child) hold() bool {
	if c.started.PID <= 1 {
		return false
	}
	fd, err := pidfd.Open(c.started.PID)
	if err != nil {
		return false
	}
	if !pidfd.Same(c.started.PID, c.started.Ticks) || fd.Exited() {
		fd.Close()
		return false
	}
	c.pidfd = int(fd)
	return true
}

// findStarted looks for the process of a start that the dead keeper did not see
// the end of: the oldest in its cgroup, or the oldest with its mark.
func findStarted(c *child, mark string) bool {
	var pids []int
	if g, ok := c.tree.(cgroupTree); ok {
		pids, _ = g.group.Procs()
	} else {
		pids = markedProcesses(mark)
	}
	found := false
	for _, pid := range pids {
		ticks, err := pidfd.StartTicks(pid)
		if err == nil && (!found || ticks < c.started.Ticks) {
			found = true
			c.started.PID, c.started.Ticks = pid, ticks
		}
	}
	c.started.Instance = c.spec.Instance
	if found && c.started.Boot == 0 {
		c.started.Boot = clock.Boot()
	}
	return found
}

func markedProcesses(mark string) (pids []int) {
	all, err := proctree.Scan()
	if err != nil {
		return nil
	}
	for pid := range all {
		env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+mark+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// findOutputs finds the read ends of the pipes that a child writes to: the child
// holds them open for both directions, so they can be had from its /proc/PID/fd
// even when nobody else has them.
func findOutputs(c *child, inodes [2]uint64) (out, err int) {
	found := [2]int{-1, -1}
	pids := append([]int{c.started.PID}, c.tree.Left()...)
	for i, ino := range inodes {
		if ino == 0 {
			continue
		}
		for _, pid := range pids {
			if fd := openPipe(pid, ino); fd >= 0 {
				found[i] = fd
				break
			}
		}
	}
	return found[0], found[1]
}

func openPipe(pid int, ino uint64) int {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return -1
	}
	want := fmt.Sprintf("pipe:[%d]", ino)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if name, err := os.Readlink(path); err != nil || name != want {
			continue
		}
		if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err == nil {
			if inode(fd) == ino {
				return fd
			}
			unix.Close(fd)
		}
	}
	return -1
}

// statusTime is how long the exit status of a process that is not our child is
// waited for: its parent has to reap it first, and here pid 1 took 1.7 s
// (PIDFD_GET_INFO, Linux 6.15).
const statusTime = 3 * time.Second

// watchAdopted waits for the end of a process that is not our child, and tells
// of it as the reaper does. The pidfd stays the caller's: a copy is used.
func watchAdopted(ctx context.Context, fd pidfd.FD, pid int, deaths chan<- death) {
	nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	own := pidfd.FD(nfd)
	defer own.Close()
	if own.Dead(ctx) != nil {
		return
	}
	d := death{pid: pid, code: cldExited, exit: protocol.Exit{Boot: clock.Boot(), Unknown: true}}
	reaped, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	if err := own.Reaped(reaped); err == nil {
		if info, err := own.Info(); err == nil && info.HasExit {
			d.exit.Status, d.exit.Unknown = uint32(info.Exit), false
		}
	} else if !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	select {
	case deaths <- d:
	case <-ctx.Done():
	}
}
