package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// LockName is the file whose lock makes a keeper the only one of its name. The
// lock is flock(2) on an open descriptor: the kernel drops it with the
// process, so it cannot be stale. The pid inside is only for the message.
const LockName = "keeper.lock"

// Running says that another keeper holds the name.
type Running struct {
	Name string
	PID  int // 0 when the file does not tell
	Path string
}

func (r *Running) Error() string {
	return fmt.Sprintf("cannot start vigil %q: already running as pid %d (lock %s)", r.Name, r.PID, r.Path)
}

// lock takes the lock in dir. The file stays open, and locked, until the
// process ends.
func lock(name, dir string) (*os.File, error) {
	path := filepath.Join(dir, LockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock: %w", err)
	}
	err = lockPatiently(f)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer f.Close()
		return nil, &Running{Name: name, PID: holder(f), Path: path}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt(pid, 0)
		if err != nil {
			// The lock holds without it; a second vigil will say pid 0.
			_ = f.Truncate(0)
		}
	}
	return f, nil
}

// How long a lock is waited for that a dead keeper holds: until the kernel is
// done with its threads, or, when it was killed between the fork and the exec
// of a child, which shares its descriptors, until that exec.
const (
	lockPatience = 5 * time.Second
	lockPause    = 5 * time.Millisecond
	dyingTime    = 200 * time.Millisecond // a killed process may be seen alive for a moment
)

// lockPatiently takes the lock. One that a living keeper holds is not waited
// for.
func lockPatiently(f *os.File) error {
	begun := time.Now()
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		waited := time.Since(begun)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK), waited >= lockPatience:
			return err
		case waited >= dyingTime:
			if p, perr := proctree.Read(holder(f)); perr == nil && !p.Zombie {
				return err
			}
		}
		<-pause.C
	}
}

func holder(f *os.File) int {
	b := make([]byte, 16)
	n, _ := f.ReadAt(b, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid
}
