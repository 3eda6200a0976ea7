package jvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// target is the JVM that is asked.
type target struct {
	pid   int
	inner int // its pid in its own pid namespace
	uid   int
	gid   int
}

// maxStatus bounds /proc/PID/status.
const maxStatus = 64 << 10

// lookAt finds out what the attach protocol needs, and why a JVM would not answer.
func lookAt(pid int) (target, error) {
	t := target{pid: pid, inner: pid}
	status, err := readLimited(fmt.Sprintf("/proc/%d/status", pid), maxStatus)
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch name {
		case "NSpid":
			t.inner, _ = strconv.Atoi(words[len(words)-1])
		case "Uid":
			t.uid, _ = strconv.Atoi(words[min(1, len(words)-1)]) // the effective one
		case "Gid":
			t.gid, _ = strconv.Atoi(words[min(1, len(words)-1)])
		case "State":
			switch words[0] {
			case "T", "t":
				return t, errors.New("it is stopped")
			case "Z", "X":
				return t, errors.New("it has ended")
			}
		case "SigCgt":
			caught, _ := strconv.ParseUint(words[0], 16, 64)
			if caught&(1<<(unix.SIGQUIT-1)) == 0 {
				return t, errors.New("it has no handler for SIGQUIT (-Xrs, or it has just begun): the signal would end it")
			}
		}
	}
	return t, nil
}

// socket is where HotSpot listens once it was asked to: in /tmp of its own mount
// namespace.
func (t target) socket() string {
	return fmt.Sprintf("/proc/%d/root/tmp/.java_pid%d", t.pid, t.inner)
}

// open has the JVM listen, if it does not yet: a file that it finds at a SIGQUIT
// asks for that (the attach protocol of HotSpot, since JDK 6).
func (t target) open(ctx context.Context) error {
	if t.listens() {
		return nil
	}
	ask := fmt.Sprintf("/proc/%d/root/tmp/.attach_pid%d", t.pid, t.inner)
	made, err := t.askBy(ask)
	if err != nil {
		return err
	}
	if made {
		defer func() { _ = os.Remove(ask) }() // the JVM removes it too
	}
	if err := unix.Kill(t.pid, unix.SIGQUIT); err != nil {
		return fmt.Errorf("cannot ask it to listen: %w", err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !t.listens() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("it does not listen for tools: its handler of signals does not run, or it was started with -XX:+DisableAttachMechanism")
		}
	}
	return nil
}

// listens reports whether a socket of the JVM's own user is there.
func (t target) listens() bool {
	info, err := os.Lstat(t.socket())
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(owner.Uid) == t.uid || owner.Uid == 0)
}

// askBy makes the file, as the JVM's own user: another's file is ignored. What
// stands in its place is not followed.
func (t target) askBy(path string) (made bool, err error) {
	t.as(func() {
		var fd int
		fd, err = unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			made = true
			_ = unix.Close(fd) // empty
		}
	})
	if errors.Is(err, unix.EEXIST) {
		err = nil // somebody else asks as well
	}
	if err != nil {
		return made, fmt.Errorf("cannot make %s: %w", path, err)
	}
	return made, nil
}

// as does something with the rights of the JVM's user on files, setfsuid(2),
// where we may take them. It is the thread's, so it is given back.
func (t target) as(do func()) {
	if os.Geteuid() != 0 || t.uid == 0 {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with us
		_ = unix.Setfsgid(t.gid)
		_ = unix.Setfsuid(t.uid)
		do()
	}()
	<-done
}

// maxAnswer bounds what a JVM says.
const maxAnswer = 32 << 20

// command asks the JVM for something by its own diagnostic commands.
func (t target) command(ctx context.Context, text string) ([]byte, error) {
	path := t.socket()
	if len(path) > 107 { // sun_path, unix(7)
		return nil, fmt.Errorf("the path of its socket is too long: %s", path)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to it: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// The version of the protocol, a command, and three arguments.
	if _, err := conn.Write([]byte("1\x00jcmd\x00" + text + "\x00\x00\x00")); err != nil {
		return nil, fmt.Errorf("cannot ask it for %s: %w", text, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("no answer in time")
		}
		return nil, fmt.Errorf("cannot hear what it says of %s: %w", text, err)
	}
	code, rest, _ := bytes.Cut(answer, []byte("\n"))
	if string(bytes.TrimSpace(code)) != "0" {
		return nil, fmt.Errorf("it refused %s: %.200q", text, answer)
	}
	return rest, nil
}
