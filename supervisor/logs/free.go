package logs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// maxFloor is the most that a percentage of a file system asks for.
const maxFloor = 4 << 30

// Free is space that is left on a file system: bytes, or a part of it. The zero
// value asks for nothing.
type Free struct {
	Bytes   int64
	Percent float64 // of the file system, but no more than 4 GiB
}

// ErrFloor says that the file system has less space than is to be left.
type ErrFloor struct{ Have, Want int64 }

func (e *ErrFloor) Error() string {
	return fmt.Sprintf("%d bytes are free on its file system, and %d are to be left", e.Have, e.Want)
}

// check asks the file system of a descriptor.
func (f Free) check(fd int) error {
	if f == (Free{}) {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return fmt.Errorf("cannot ask for free space: %w", err)
	}
	return f.compare(int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize)
}

func (f Free) compare(have, all int64) error {
	want := max(f.Bytes, min(int64(f.Percent/100*float64(all)), maxFloor))
	if have < want {
		return &ErrFloor{Have: have, Want: want}
	}
	return nil
}
