package keeper

import (
	"cmp"
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
// services run on as children of somebody else. They are known by the pidfd that
// the service manager kept, or by pid and start time, and by their cgroup; their
// output by the pipes that were kept, or that they still hold themselves.
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
	stored := k.takeStored()
	k.adoptAll(k.withUnrecorded(l.children, stored), stored)
	// A supervisor was in charge of what we have: what it went by counts, not
	// what the files say now.
	_, k.sup.everReady = k.files[protocol.ConfigFile]
}

// adoptAll makes children of the records, oldest first, and then finds out what
// has become of each: the end of one that was started again by a standing order
// is told together with that start.
func (k *Keeper) adoptAll(list []record, stored map[string]*storedChild) {
	slices.SortFunc(list, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Instance, b.Instance))
	})
	var adopted []record
	for _, rec := range list {
		if k.adoptChild(rec) {
			adopted = append(adopted, rec)
		} else {
			k.dropStored(stored[protocol.ID(rec.Key, rec.Instance)])
		}
	}
	for _, rec := range adopted {
		id := protocol.ID(rec.Key, rec.Instance)
		k.settle(k.children[id], rec, stored[id])
	}
	slices.SortStableFunc(k.order, func(a, b string) int {
		return cmp.Compare(k.children[a].started.Boot, k.children[b].started.Boot)
	})
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
	if p, err := proctree.Read(s.PID); err == nil && p.Stopped {
		_ = fd.Signal(unix.SIGKILL) // it cannot end by itself
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

// adoptChild makes a child of a record; false when there never was a process.
func (k *Keeper) adoptChild(rec record) bool {
	c := newChild(protocol.Start{Key: rec.Key, Instance: rec.Instance, Helper: rec.Helper, StopSignal: rec.StopSignal, StopTimeout: rec.StopTimeout})
	c.adopted, c.starting, c.started, c.exit, c.pipes = true, false, rec.Started, rec.Exit, rec.Outputs
	c.started.Instance = rec.Instance
	// Its orphans go to whoever is its parent now; of a dead one nobody knows.
	reaper := proctree.AnyParent
	if p, err := proctree.Read(rec.Started.PID); err == nil && p.Ticks == rec.Started.Ticks {
		reaper = p.PPID
	}
	k.adoptTree(c, rec, reaper)
	if rec.Starting && !findStarted(c) {
		k.records.dropChild(c)
		c.close()
		return false
	}
	if c.pipes == [2]uint64{} {
		c.pipes = outputPipes(c.started.PID)
	}
	k.add(c)
	return true
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

// settle finds out whether an adopted child lives, takes its output, and tells
// what has to be told.
func (k *Keeper) settle(c *child, rec record, s *storedChild) {
	next := k.children[protocol.ID(rec.Key, rec.Instance+1)]
	if c.exit == nil {
		c.hold(s)
		c.exit = c.endKnown(next != nil)
	}
	k.takeOutputs(c, s)
	defer k.keepAdopted(c, rec, s)
	switch {
	case c.exit != nil && next != nil:
		// It was empty before the next one was started.
		c.empty = true
		k.tell(protocol.Event{Key: rec.Key, Inst: rec.Instance, Kind: protocol.EventRestarted, Exit: c.exit, Started: &next.started, Boot: c.exit.Boot})
	case c.exit != nil:
		// The supervisor may have heard of it, and then knows better.
		k.tell(protocol.Event{Key: rec.Key, Inst: rec.Instance, Kind: protocol.EventExited, Exit: c.exit, Boot: c.exit.Boot})
		// Nobody waits for its end any more: what is left of it goes.
		if empty, err := c.tree.Empty(); err == nil && empty {
			k.setEmpty(c)
		} else {
			k.killChild(c)
		}
	default:
		k.watch(c)
	}
}

// keepAdopted records a child as it is now, unless that is what the record says,
// and has it stored anew if what the service manager has is not all that there
// is.
func (k *Keeper) keepAdopted(c *child, rec record, s *storedChild) {
	if rec.Starting || rec.Exit != c.exit || rec.Started != c.started || rec.Cgroup != c.tree.Path() || rec.Outputs != c.pipes {
		k.records.child(c)
	}
	if s != nil {
		fds, _ := c.files()
		c.stored = true
		if len(fds) != s.count {
			k.unstoreChild(c)
		}
		s.close()
	}
	k.storeChild(c)
}

// hold finds the process of an adopted child, dead or alive: by the pidfd that
// was kept, or by its number if it still is that process. The start time is
// read with the pidfd in hand.
func (c *child) hold(s *storedChild) {
	if s != nil && s.pidfd >= 0 {
		info, err := pidfd.FD(s.pidfd).Info()
		if dead := pidfd.FD(s.pidfd).Exited(); dead || err == nil && info.PID == c.started.PID {
			c.pidfd, s.pidfd = s.pidfd, -1
			return
		}
	}
	if c.started.PID <= 1 || c.started.Ticks == 0 {
		return
	}
	fd, err := pidfd.Open(c.started.PID)
	if err != nil {
		return
	}
	if !pidfd.Same(c.started.PID, c.started.Ticks) {
		fd.Close()
		return
	}
	c.pidfd = int(fd)
}

// endKnown is how an adopted child has ended, nil while it lives or its end is
// still to be told by the kernel: somebody else has to reap it first. Hurry: do
// not wait for that.
func (c *child) endKnown(hurry bool) *protocol.Exit {
	unknown := &protocol.Exit{Unknown: true, Boot: clock.Boot()}
	if c.pidfd < 0 {
		fmt.Fprintf(os.Stderr, "vigil: %s, pid %d, has ended while no keeper ran\n", c.id, c.started.PID)
		return unknown
	}
	fd := pidfd.FD(c.pidfd)
	if !fd.Exited() {
		return nil
	}
	if info, err := fd.Info(); err == nil && info.HasExit {
		return &protocol.Exit{Status: uint32(info.Exit), Boot: clock.Boot()}
	}
	if hurry || c.started.PID == 0 {
		return unknown
	}
	return nil
}

// watch begins to wait for the end of an adopted child.
func (k *Keeper) watch(c *child) {
	k.byPID[c.started.PID] = c
	if w, ok := c.tree.(*walkTree); ok {
		w.started(c.started.PID)
	}
	if p, err := proctree.Read(c.started.PID); err == nil && p.Stopped {
		// waitid(2) tells a parent only: that it continues is for others to see.
		c.stopped = int(unix.SIGSTOP)
	}
	go watchAdopted(k.ctx, pidfd.FD(c.pidfd), c.id, c.started.PID, k.deaths)
	if !c.spec.Helper {
		fmt.Fprintf(os.Stderr, "vigil: adopted %s, pid %d\n", c.id, c.started.PID)
	}
}

// takeOutputs finds the read ends of the pipes that a child writes to: they were
// kept, or a process of it holds them open for both directions, so that they
// can be had from its /proc/PID/fd even when nobody else has them.
func (k *Keeper) takeOutputs(c *child, s *storedChild) {
	var pids []int
	for i, at := range []*int{&c.out, &c.err} {
		ino := c.pipes[i]
		if ino == 0 {
			continue
		}
		if s != nil {
			if fd, ok := s.pipes[ino]; ok {
				*at = fd
				delete(s.pipes, ino)
				continue
			}
		}
		if pids == nil {
			pids = append([]int{c.started.PID}, c.tree.Left()...)
		}
		for _, pid := range pids {
			if *at = openPipe(pid, ino); *at >= 0 {
				break
			}
		}
	}
}

// findStarted looks for the process of a start that the dead keeper did not see
// the end of: the oldest in its cgroup, or the oldest with its mark.
func findStarted(c *child) bool {
	found := false
	for _, pid := range c.tree.Left() {
		ticks, err := pidfd.StartTicks(pid)
		if err == nil && (!found || ticks < c.started.Ticks) {
			found = true
			c.started.PID, c.started.Ticks = pid, ticks
		}
	}
	if found && c.started.Boot == 0 {
		c.started.Boot = time.Duration(c.started.Ticks) * clockTick
	}
	return found
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
func watchAdopted(ctx context.Context, fd pidfd.FD, id string, pid int, deaths chan<- death) {
	nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	own := pidfd.FD(nfd)
	defer own.Close()
	if own.Dead(ctx) != nil {
		return
	}
	d := death{adopted: id, pid: pid, code: cldExited, exit: protocol.Exit{Boot: clock.Boot(), Unknown: true}}
	reaped, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	if _, err := own.Info(); errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		// This kernel will not tell (before Linux 6.13).
	} else if err := own.Reaped(reaped); err == nil {
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
