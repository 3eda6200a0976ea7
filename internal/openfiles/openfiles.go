// Package openfiles tells which regular files a process has open for writing,
// and which of those were rotated under it, from /proc (proc_pid_fd(5)).
package openfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MaxFiles bounds the descriptors of one process that are looked at; it is the
// usual hard limit of descriptors.
const MaxFiles = 1 << 20

// ID is a file whatever its name. Numbers of inodes are used again, so its birth
// belongs to it, where the file system keeps that (statx(2)).
type ID struct {
	Major, Minor uint32
	Ino          uint64
	Birth        int64 // ns since 1970; 0: not known
}

// identify returns the file at path; ok is false for what is not regular.
func identify(path string, flags int) (id ID, ok bool) {
	var st unix.Statx_t
	// Links of a dead network file system are not waited for: no sync.
	err := unix.Statx(unix.AT_FDCWD, path, flags|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ID{}, false
	}
	id = ID{Major: st.Dev_major, Minor: st.Dev_minor, Ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.Birth = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return id, true
}

// File is a regular file that a process has open for writing.
type File struct {
	FD      int
	ID      ID
	Path    string // the name that it has now, or had last; as the process's root has it
	Deleted bool   // that name is gone
	Append  bool   // O_APPEND, as logs have it
}

// Written lists the regular files that process pid has open for writing. Files
// that never had a name (memfd, O_TMPFILE) are left out, and so are descriptors
// that are closed meanwhile. The error is that of /proc: fs.ErrNotExist when
// the process is gone, fs.ErrPermission when it is closed to us.
func Written(pid int) ([]File, error) {
	base := "/proc/" + strconv.Itoa(pid)
	dir, err := os.Open(base + "/fd")
	if err != nil {
		return nil, fmt.Errorf("cannot list the files of process %d: %w", pid, bare(err))
	}
	defer dir.Close()
	var list []File
	for seen := 0; seen < MaxFiles; {
		names, err := dir.Readdirnames(512)
		seen += len(names)
		for _, name := range names {
			if f, ok := look(base, name); ok {
				list = append(list, f)
			}
		}
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, fmt.Errorf("cannot list the files of process %d: %w", pid, bare(err))
		}
	}
	return list, fmt.Errorf("cannot list the files of process %d: more than %d", pid, MaxFiles)
}

func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// look is cheap for what is no file: one readlink(2).
func look(base, name string) (File, bool) {
	fd, err := strconv.Atoi(name)
	if err != nil {
		return File{}, false
	}
	link, err := os.Readlink(base + "/fd/" + name)
	if err != nil || !named(link) {
		return File{}, false
	}
	id, ok := identify(base+"/fd/"+name, 0)
	if !ok {
		return File{}, false
	}
	text, err := os.ReadFile(base + "/fdinfo/" + name)
	if err != nil {
		return File{}, false
	}
	flags, ok := parseFlags(string(text))
	if mode := flags & unix.O_ACCMODE; !ok || flags&unix.O_PATH != 0 || mode != unix.O_WRONLY && mode != unix.O_RDWR {
		return File{}, false
	}
	f := File{FD: fd, ID: id, Path: link, Append: flags&unix.O_APPEND != 0}
	if path, ok := strings.CutSuffix(link, " (deleted)"); ok && !same(base+"/root"+link, f.ID) {
		f.Path, f.Deleted = path, true
	}
	return f, true
}

// named reports whether a link of /proc/PID/fd is the path of a file that had a
// name: not a pipe or socket ("pipe:[7]"), not memory that only looks like a
// file (memfd_create(2), shmget(2), aio), not O_TMPFILE (open(2)), which shows
// as "/dir/#inode (deleted)".
func named(link string) bool {
	if !strings.HasPrefix(link, "/") {
		return false
	}
	for _, p := range []string{"/memfd:", "/SYSV", "/[aio]", "/dev/zero", "/dev/shm/", "/proc/", "/sys/"} {
		if strings.HasPrefix(link, p) {
			return false
		}
	}
	number, isNumber := strings.CutPrefix(filepath.Base(strings.TrimSuffix(link, " (deleted)")), "#")
	return !isNumber || strings.Trim(number, "0123456789") != ""
}

// parseFlags finds the line "flags: OCTAL" of proc_pid_fdinfo(5).
func parseFlags(text string) (flags int, ok bool) {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, "flags:"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 8, 32)
			return int(n), err == nil
		}
	}
	return 0, false
}

func same(path string, id ID) bool {
	other, ok := identify(path, unix.AT_SYMLINK_NOFOLLOW)
	return ok && other == id
}
