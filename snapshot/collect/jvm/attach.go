package jvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The attach protocol of HotSpot, since JDK 6: a tool makes the file
// .attach_pidN in the /tmp of a JVM and sends it SIGQUIT, at which the JVM looks
// for the file and listens on the socket .java_pidN there. A request is the
// version of the protocol, a command, and three arguments, each ended by a zero
// byte; the answer is a line with a number, 0 for success, and a text. N is the
// pid of the JVM as it sees itself.

// errUnanswered: the JVM listens and says nothing, so nothing else that asks it
// in this way will hear anything.
var errUnanswered = errors.New("it listens, but does not answer in time: it reaches no safepoint, or its Attach Listener stands still")

// byAttach asks by the attach protocol.
func (c *collection) byAttach(ctx context.Context) ([]byte, error) {
	if err := c.target.answers(); err != nil {
		return nil, err
	}
	if c.target.deaf {
		return nil, errors.New("it was started with -XX:+DisableAttachMechanism")
	}
	if err := c.target.open(ctx); err != nil {
		return nil, err
	}
	heap := c.heapAtMost()
	if heap > 0 && heap <= maxWalk {
		return c.target.command(ctx, "Thread.print -l")
	}
	text, err := c.target.command(ctx, "Thread.print")
	if err != nil {
		return nil, err
	}
	if c.opt.Lethal {
		// It may stand still for that now. What there is is not lost by it.
		if more, err := c.target.command(ctx, "Thread.print -l"); err == nil {
			return more, nil
		}
	}
	c.notes = append(c.notes, noOwners)
	return text, nil
}

const noOwners = "owners of java.util.concurrent locks are known of deadlocks only: for the others the JVM would have to walk its heap, and stand still meanwhile for too long"

// maxWalk is the largest heap, bytes, that a JVM which is to go on is asked to
// walk for the owners of locks: with 1 GiB of small objects everything stood
// still for 0.2 to 0.4 s (G1, JDK 17).
const maxWalk = 1 << 30

// heapAtMost bounds the size of its heap by its counters, which tell of the old
// generation only what the last collection left; 0: not known. Collectors without
// a young one count everything as old.
func (c *collection) heapAtMost() int64 {
	by := map[string]int64{}
	for _, n := range c.counters {
		by[n.name] = max(n.value, 0)
	}
	if young := by["sun.gc.generation.0.capacity"]; young > 0 {
		return young + by["sun.gc.generation.1.space.0.used"]
	}
	return by["sun.gc.generation.1.capacity"]
}

// open has the JVM listen, if it does not yet.
func (t *target) open(ctx context.Context) error {
	if t.listens() {
		return nil
	}
	if err := t.takesQuit(); err != nil {
		return err
	}
	unask, err := t.askToListen()
	if err != nil {
		return err
	}
	defer unask()
	if err := t.fd.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !t.listens() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("it does not begin to listen for tools: its Signal Dispatcher stands still, it reaches no safepoint, or it was told not to (-XX:+DisableAttachMechanism)")
		}
	}
	return nil
}

// socket opens the socket, if there is one that the JVM has made.
func (t *target) socket() (int, error) {
	tmp, err := t.tmp()
	if err != nil {
		return -1, err
	}
	defer unix.Close(tmp)
	return t.openOwn(tmp, fmt.Sprintf(".java_pid%d", t.inner), unix.O_PATH, unix.S_IFSOCK)
}

func (t *target) listens() bool {
	fd, err := t.socket()
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// askToListen makes the file, as the JVM's own user: it ignores that of another.
// unask takes it away, should the JVM not have done so.
func (t *target) askToListen() (unask func(), err error) {
	tmp, err := t.tmp()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf(".attach_pid%d", t.inner)
	t.as(func() {
		var fd int
		fd, err = unix.Openat(tmp, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			_ = unix.Close(fd) // it stays empty
		}
	})
	switch {
	case errors.Is(err, unix.EEXIST): // somebody else asks as well, or has left it
		_ = unix.Close(tmp)
		return func() {}, nil
	case err != nil:
		_ = unix.Close(tmp)
		return nil, fmt.Errorf("cannot make %s in its /tmp: %w", name, err)
	}
	return func() {
		t.as(func() { _ = unix.Unlinkat(tmp, name, 0) })
		_ = unix.Close(tmp)
	}, nil
}

// maxAnswer bounds what a JVM says.
const maxAnswer = 32 << 20

// command asks the JVM for something by its own diagnostic commands.
func (t *target) command(ctx context.Context, text string) ([]byte, error) {
	conn, err := t.connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write([]byte("1\x00jcmd\x00" + text + "\x00\x00\x00")); err != nil {
		return nil, fmt.Errorf("cannot ask it for %s: %w", text, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		if ctx.Err() != nil {
			err = errUnanswered
		}
		return nil, fmt.Errorf("cannot hear what it says of %s: %w", text, err)
	}
	code, rest, _ := bytes.Cut(answer, []byte("\n"))
	switch {
	case len(answer) == 0:
		return nil, fmt.Errorf("it closed the connection without a word at %s: it does not answer this user", text)
	case string(bytes.TrimSpace(code)) != "0":
		return nil, fmt.Errorf("it refused %s: %.200q", text, answer)
	}
	return rest, nil
}

// connect reaches the socket by its descriptor: it is the one that was looked
// at, and its path can be longer than an address. That the target itself listens
// there, and nobody in its name, is the kernel's word.
func (t *target) connect() (net.Conn, error) {
	file, err := t.socket()
	if err != nil {
		return nil, err
	}
	defer unix.Close(file)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "jvm")
	defer f.Close() // FileConn works on a duplicate
	t.as(func() {
		// A queue that is full is EAGAIN: nobody has accepted for long.
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", file)})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot connect to it: %w", err)
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, fmt.Errorf("cannot ask who listens: %w", err)
	}
	if int(peer.Pid) != t.pid {
		return nil, fmt.Errorf("cannot connect to it: process %d listens in its place", peer.Pid)
	}
	return net.FileConn(f)
}
