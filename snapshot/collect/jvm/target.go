package jvm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
)

// target is the JVM that is asked. Its pidfd and its root stay those of the
// process that they were opened of, whoever has its number later.
type target struct {
	pid  int
	fd   pidfd.FD
	root int // descriptor of its root directory, O_PATH

	inner    int // its pid in its own pid namespace
	uid, gid int // effective
	stopped  bool
	tracer   int  // pid of who traces it
	caught   bool // it has a handler for SIGQUIT

	deaf   bool   // started with -XX:+DisableAttachMechanism
	openj9 bool   // another virtual machine
	perf   string // directory of its counters, in its /tmp; "": none
}

// Bounds of files in /proc/PID.
const (
	maxStatus = 64 << 10
	maxLine0  = 256 << 10 // the command line
	maxMaps   = 8 << 20
)

// openTarget finds out what the ways to ask need. ticks, unless 0, is the start
// of the process that is meant.
func openTarget(pid int, ticks uint64) (*target, error) {
	fd, err := pidfd.Open(pid)
	if err != nil {
		return nil, err
	}
	t := &target{pid: pid, fd: fd, root: -1, inner: pid}
	if err := t.look(ticks); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *target) look(ticks uint64) error {
	if ticks != 0 && !pidfd.Same(t.pid, ticks) {
		return fmt.Errorf("process %d is another process by now", t.pid)
	}
	status, err := readLimited(fmt.Sprintf("/proc/%d/status", t.pid), maxStatus)
	if err != nil {
		return err
	}
	if ended := t.read(string(status)); ended {
		return errors.New("it has ended")
	}
	if line, err := readLimited(fmt.Sprintf("/proc/%d/cmdline", t.pid), maxLine0); err == nil {
		t.deaf = disablesAttach(line)
	}
	maps, _ := readLimited(fmt.Sprintf("/proc/%d/maps", t.pid), maxMaps) // a part will do
	t.openj9 = bytes.Contains(maps, []byte("/libj9vm"))
	t.perf = perfDirectory(maps, t.inner)
	t.root, err = unix.Open(fmt.Sprintf("/proc/%d/root", t.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.root = -1 // then only tools can ask
	}
	// As it still lives, the number was its own all the time.
	if err := t.fd.Signal(0); err != nil {
		return errors.New("it has ended")
	}
	return nil
}

// read takes /proc/PID/status.
func (t *target) read(status string) (ended bool) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch name {
		case "NSpid":
			t.inner, _ = strconv.Atoi(words[len(words)-1])
		case "Uid":
			t.uid, _ = strconv.Atoi(words[min(1, len(words)-1)])
		case "Gid":
			t.gid, _ = strconv.Atoi(words[min(1, len(words)-1)])
		case "TracerPid":
			t.tracer, _ = strconv.Atoi(words[0])
		case "State":
			t.stopped = words[0] == "T"
			ended = words[0] == "Z" || words[0] == "X"
		case "SigCgt":
			caught, _ := strconv.ParseUint(words[0], 16, 64)
			t.caught = caught&(1<<(unix.SIGQUIT-1)) != 0
		}
	}
	return ended
}

// disablesAttach reads a command line: of two contrary options the last counts.
func disablesAttach(line []byte) (off bool) {
	for arg := range bytes.SplitSeq(line, []byte{0}) {
		switch string(arg) {
		case "-XX:+DisableAttachMechanism":
			off = true
		case "-XX:-DisableAttachMechanism":
			off = false
		}
	}
	return off
}

func (t *target) close() {
	if t.root >= 0 {
		_ = unix.Close(t.root)
	}
	_ = t.fd.Close()
}

// answers says why a JVM cannot answer by itself, as it is.
func (t *target) answers() error {
	switch {
	case t.stopped:
		return errors.New("it is stopped (SIGSTOP): only who reads it from outside sees its threads")
	case t.openj9:
		return errors.New("it is OpenJ9, which has other ways than HotSpot")
	}
	return nil
}

// takesQuit says why it must not be sent SIGQUIT.
func (t *target) takesQuit() error {
	if !t.caught {
		return errors.New("it has no handler for SIGQUIT (-Xrs, or it has just begun): the signal would end it")
	}
	return nil
}

// tmp opens the /tmp that the target sees, where HotSpot has its files whatever
// java.io.tmpdir says. Links are followed within its own root.
func (t *target) tmp() (int, error) {
	if t.root < 0 {
		return -1, errors.New("cannot open its root directory: this needs its user's rights")
	}
	fd, err := unix.Openat2(t.root, "tmp", &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS, // Linux 5.6
	})
	if err != nil {
		return -1, fmt.Errorf("cannot open its /tmp: %w", err)
	}
	return fd, nil
}

// openOwn opens a file of a directory of the target, which is no link, of the
// given type, and belongs to the target or to root. It does not wait, should
// somebody have put a pipe there.
func (t *target) openOwn(dir int, name string, flags int, kind uint32) (int, error) {
	fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot open its %s: %w", name, err)
	}
	var st syscall.Stat_t
	if err = syscall.Fstat(fd, &st); err == nil && (st.Mode&unix.S_IFMT != kind || st.Uid != 0 && int(st.Uid) != t.uid) {
		err = fmt.Errorf("cannot use its %s: somebody else has put it there", name)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// readOwn reads a regular file of at most so many bytes.
func (t *target) readOwn(dir int, name string, limit int64) ([]byte, error) {
	fd, err := t.openOwn(dir, name, unix.O_RDONLY, unix.S_IFREG)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return readAll(f, limit)
}
