package keeper

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/spawn"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// markName is the environment variable that marks every process of a service:
// name of the keeper, key and instance. Without a cgroup it is how an orphan
// is told from a neighbour's; a service may use it as its invocation id.
const markName = "VIGIL_INSTANCE"

func (k *Keeper) mark(c *child) string {
	return markName + "=" + k.opt.Name + "/" + c.id
}

// spawned is what came of starting a child.
type spawned struct {
	id    string
	pid   int
	pidfd int
	ticks uint64
	out   int
	err   int
	fail  error
	boot  time.Duration
}

// launch starts c in a goroutine of its own: an execve can hang as long as the
// file system under it does.
func (k *Keeper) launch(c *child) {
	k.inFlight++
	spec, ends, err := k.prepare(c)
	if err != nil {
		k.post(spawned{id: c.id, fail: err, out: -1, err: -1, pidfd: -1})
		return
	}
	k.records.child(c) // before there is a process: a successor must not start a second
	go func() {
		r := spawned{id: c.id, boot: clock.Boot(), out: ends.outRead, err: ends.errRead}
		r.pid, r.pidfd, r.fail = spawn.Start(spec)
		if r.fail == nil {
			// The keeper has not reaped it, so the pid is still its own.
			r.ticks, _ = pidfd.StartTicks(r.pid)
			k.kickReaper()
		}
		ends.closeWriters()
		k.post(r)
	}()
}

// post hands a result to the loop without ever blocking the loop itself.
func (k *Keeper) post(r spawned) {
	go func() {
		select {
		case k.spawns <- r:
		case <-k.ctx.Done():
		}
	}()
}

// prepare turns the request into what spawn wants.
func (k *Keeper) prepare(c *child) (spawn.Spec, outputs, error) {
	s := c.spec
	none := noOutputs()
	spec := spawn.New(s.Path)
	spec.Args, spec.PIDMark, spec.Dir = s.Args, s.PIDEnv, s.Dir
	spec.Env = append(append([]string(nil), s.Env...), k.mark(c))
	spec.Setsid, spec.Nice, spec.OOMScoreAdj, spec.NoNewPrivs = true, s.Nice, s.OOMScoreAdj, s.NoNewPrivs
	if s.Bounding != nil && mayBound() {
		spec.Bounding = s.Bounding
	}
	if s.Umask != nil {
		spec.Umask = *s.Umask
	}
	if s.Credential != nil {
		spec.Credential = &spawn.Credential{UID: s.Credential.UID, GID: s.Credential.GID, Groups: s.Credential.Groups}
	}
	for _, r := range s.Rlimits {
		spec.Rlimits = append(spec.Rlimits, spawn.Rlimit{Resource: r.Resource, Soft: r.Soft, Hard: r.Hard})
	}
	spec.Extra = append(spec.Extra, c.passed...)
	for _, name := range s.Files {
		fd, ok := k.files[name]
		if !ok {
			return spec, none, fmt.Errorf("cannot pass descriptor %q: the keeper does not hold it", name)
		}
		spec.Extra = append(spec.Extra, fd)
	}
	if err := k.wipe(s.Wipe); err != nil {
		return spec, none, err
	}
	if err := k.makeTree(c); err != nil {
		return spec, none, err
	}
	if g, ok := c.tree.(cgroupTree); ok {
		fd, err := g.group.OpenDir()
		if err != nil {
			return spec, none, fmt.Errorf("cannot open cgroup: %w", err)
		}
		spec.Cgroup = fd
	}
	ends, err := openOutputs(s.Output)
	ends.giveTo(s.Credential)
	ends.cgroup = spec.Cgroup
	spec.Stdout, spec.Stderr = ends.outWrite, ends.errWrite
	c.pipes = [2]uint64{inode(ends.outRead), inode(ends.errRead)}
	return spec, ends, err
}

// wipe punches holes, which read as zeros, also through mappings (fallocate(2),
// tmpfs since Linux 3.5).
func (k *Keeper) wipe(list []protocol.Wipe) error {
	for _, w := range list {
		fd, ok := k.files[w.Name]
		if !ok {
			return fmt.Errorf("cannot wipe descriptor %q: the keeper does not hold it", w.Name)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("cannot wipe descriptor %q: %w", w.Name, err)
		}
		if w.From < 0 || w.From >= st.Size {
			return fmt.Errorf("cannot wipe descriptor %q: it has %d bytes, none from %d on", w.Name, st.Size, w.From)
		}
		err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, w.From, st.Size-w.From)
		if err != nil {
			return fmt.Errorf("cannot wipe descriptor %q: %w", w.Name, err)
		}
	}
	return nil
}

// outputs are the descriptors that starting one child takes; -1 for none.
type outputs struct{ outRead, errRead, outWrite, errWrite, cgroup int }

func noOutputs() outputs { return outputs{-1, -1, -1, -1, -1} }

// pipeSize is asked for of each pipe, so that a service can write on while a
// supervisor is being replaced. pipe-max-size is 1 MiB by default; where the
// user's quota is used up the kernel gives less, and that is fine.
const pipeSize = 256 << 10

func openOutputs(o protocol.Output) (outputs, error) {
	e := noOutputs()
	if o == protocol.OutputInherit {
		e.outWrite, e.errWrite = 1, 2
		return e, nil
	}
	for _, p := range []struct{ r, w *int }{{&e.outRead, &e.outWrite}, {&e.errRead, &e.errWrite}} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			e.closeWriters()
			e.closeReaders()
			return noOutputs(), fmt.Errorf("cannot make output pipe: %w", err)
		}
		*p.r, *p.w = fds[0], holdOpen(fds[0], fds[1])
		_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	}
	return e, nil
}

// holdOpen makes the write end of a pipe one for both directions, as a named
// pipe can be opened, fifo(7): the child then holds its own output open. Should
// keeper and supervisor both be killed, it does not get SIGPIPE, and the next
// keeper finds the pipe in the child's /proc/PID/fd with all that was written.
func holdOpen(r, w int) int {
	both, err := unix.Open("/proc/self/fd/"+strconv.Itoa(r), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return w
	}
	unix.Close(w)
	return both
}

// giveTo lets a service that runs as another user open its own /dev/stdout.
func (e outputs) giveTo(c *protocol.Credential) {
	if c == nil {
		return
	}
	for _, fd := range []int{e.outRead, e.errRead} {
		if fd > 2 {
			_ = unix.Fchown(fd, int(c.UID), int(c.GID))
		}
	}
}

// closeWriters closes what only the child needs.
func (e outputs) closeWriters() {
	for _, fd := range []int{e.outWrite, e.errWrite, e.cgroup} {
		if fd > 2 {
			unix.Close(fd)
		}
	}
}

func (e outputs) closeReaders() {
	for _, fd := range []int{e.outRead, e.errRead} {
		if fd > 2 {
			unix.Close(fd)
		}
	}
}

// failure words a failed start: the stage, the errno, the sentence.
func failure(err error) protocol.Reply {
	r := protocol.Reply{Error: err.Error(), Code: "start-failed"}
	var se *spawn.Error
	if errors.As(err, &se) {
		r.Stage, r.Errno = se.Stage.String(), int(se.Errno)
	} else {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			r.Errno = int(errno)
		}
		r.Stage = "prepare"
	}
	r.Error = strings.ToValidUTF8(r.Error, "?")
	return r
}
