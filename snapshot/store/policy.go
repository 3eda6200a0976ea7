package store

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Policy bounds the store. A zero field does not bound.
type Policy struct {
	MaxBytes      int64         // on disk, of all incidents
	MaxAge        time.Duration // by the wall clock
	MinFree       Floor         // bytes that stay free on the file system
	MinFreeInodes Floor         // inodes that stay free on it; one without a fixed number of them has no such floor
	// MaxPerFingerprint is how many incidents of one fingerprint of one service are
	// kept: the first, the newest, and the newest of those between. At least 2.
	MaxPerFingerprint int
}

// Floor is what stays free: a number, and a share of the whole; the larger counts.
type Floor struct {
	Least   int64
	Percent float64
}

func (f Floor) of(total int64) int64 { return max(f.Least, int64(float64(total)*f.Percent/100)) }

// Room is what the file system of a store has.
type Room struct {
	Free, Total        int64 // bytes that an unprivileged user can still take, and all
	FreeInodes, Inodes int64 // both 0 where the file system makes them as they are needed
}

// Room asks the file system, statfs(2): f_bavail, f_blocks, f_ffree, f_files.
func (s *Store) Room() (Room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.root, &st); err != nil {
		return Room{}, fmt.Errorf("cannot measure free space of %s: %w", s.root, err)
	}
	return Room{Free: int64(st.Bavail) * st.Frsize, Total: int64(st.Blocks) * st.Frsize, FreeInodes: int64(st.Ffree), Inodes: int64(st.Files)}, nil
}
