package store

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is how long a change waits for another process's. A prune of ten
// thousand incidents takes seconds on a slow disk.
const lockWait = 30 * time.Second

// lockAgain is how often the lock is asked for: flock(2) has no time limit of its own.
const lockAgain = 10 * time.Millisecond

// lock keeps other processes, and other goroutines, from pruning and pinning. It
// is the directory that is locked, flock(2): no file is left that another user
// could not open, and the kernel unlocks when a process dies. Who only writes an
// incident of his own needs no lock.
func (s *Store) lock(wait time.Duration) (unlock func(), err error) {
	d, err := os.OpenFile(s.root, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot lock incident store: %w", err)
	}
	err = flock(d, wait)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock incident store %s: %w", s.root, err), d.Close())
	}
	return func() { _ = d.Close() }, nil // closing unlocks: nobody else has this description
}

func flock(d *os.File, wait time.Duration) error {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	again := time.NewTicker(lockAgain)
	defer again.Stop()
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return fmt.Errorf("%w for %v", ErrLocked, wait)
		}
	}
}

// Hold tells other processes that this one lives and writes the incident: their
// Recover and Resume leave it alone. It is for who writes beside the supervisor
// that owns the store; what a supervisor writes its successor has to take over.
func (w *Writing) Hold() error {
	d, err := os.OpenFile(w.dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err == nil {
		if err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			err = errors.Join(err, d.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("cannot hold incident %s: %w", w.id, err)
	}
	w.held = d
	return nil
}

// isHeld says whether a process holds the incident. In doubt nobody does.
func (s *Store) isHeld(id string) bool {
	d, err := os.OpenFile(s.path(id), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer d.Close() // which unlocks
	return errors.Is(unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}
