package proctask

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Sizes of what is read.
const (
	textSize    = 4 << 10
	maxText     = 1 << 20  // status holds up to 65,536 groups (NGROUPS_MAX)
	listingSize = 32 << 10 // about a thousand threads in one call
	maxEntry    = 280      // struct linux_dirent64 with a name of 255 bytes
)

// tellsSwitches says whether schedstat counts. It is there with
// CONFIG_SCHED_INFO, and holds only zeros when nobody switched it on
// (CONFIG_SCHEDSTATS, or delay accounting).
var tellsSwitches = sync.OnceValue(func() bool {
	s := Scanner{dir: unix.AT_FDCWD}
	text, _, err := s.path("/proc/thread-self/schedstat")
	if err != nil {
		return false
	}
	_, switches, err := parseSchedstat(text)
	return err == nil && switches > 0 // we run
})

// list fills tids with what /proc/PID/task lists, and counts what is beyond the limit.
func (s *Scanner) list() (total int, err error) {
	if s.listing == nil {
		s.listing = make([]byte, listingSize)
	}
	s.tids = s.tids[:0]
	if _, err := unix.Seek(s.dir, 0, 0); err != nil {
		return 0, err
	}
	for {
		n, err := unix.ReadDirent(s.dir, s.listing)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if ended(err) {
			return total, nil
		}
		if err != nil {
			return 0, err
		}
		if n <= 0 {
			return total, nil
		}
		for rest := s.listing[:n]; len(rest) > 0; {
			var name []byte
			if name, rest, err = entry(rest); err != nil {
				return 0, err
			}
			tid, err := strconv.Atoi(string(name))
			if err != nil || tid <= 0 {
				continue // . and ..
			}
			total++
			if len(s.tids) < s.most {
				s.tids = append(s.tids, tid)
			}
		}
		if n < listingSize-maxEntry {
			return total, nil // there was room for more
		}
	}
}

// entry takes the first struct linux_dirent64 of getdents64(2) off b: inode (8
// bytes), offset (8), length (2), type (1), name and NUL.
func entry(b []byte) (name, rest []byte, err error) {
	const nameAt = 19
	if len(b) < nameAt {
		return nil, nil, fmt.Errorf("directory entry: %w", errForm)
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size < nameAt || size > len(b) {
		return nil, nil, fmt.Errorf("directory entry: %w", errForm)
	}
	name = b[nameAt:size]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return name, b[size:], nil
}

// file reads a file of a thread. It is gone (alive is false) with the thread.
func (s *Scanner) file(tid int, name string) (text []byte, alive bool, err error) {
	return s.path(strconv.Itoa(tid) + "/" + name)
}

func (s *Scanner) path(path string) (text []byte, alive bool, err error) {
	fd, err := openat(s.dir, path)
	if ended(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if s.text == nil {
		s.text = make([]byte, textSize)
	}
	for size := 0; ; {
		n, err := unix.Read(fd, s.text[size:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case ended(err):
			return nil, false, nil
		case err != nil:
			return nil, false, fmt.Errorf("%s: %w", path, err)
		case n <= 0:
			return s.text[:size], true, nil
		}
		if size += n; size < len(s.text) {
			// A file of /proc that fits is given whole: no second call to learn of its end.
			return s.text[:size], true, nil
		}
		if size >= maxText {
			return nil, false, fmt.Errorf("%s: longer than %d bytes", path, maxText)
		}
		s.text = append(s.text, make([]byte, len(s.text))...)
	}
}

func openat(dir int, path string) (fd int, err error) {
	for {
		fd, err = unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// ended says that the error means that the thread, or the process, is gone.
func ended(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }
