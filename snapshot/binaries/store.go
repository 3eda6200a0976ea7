package binaries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
)

// Limits of a Store. A zero means the default beside it.
type Limits struct {
	Bytes   int64 // of all that is kept: 2 GiB
	Count   int   // 64
	MaxCopy int64 // of one file; a larger one is linked: 512 MiB
	MinFree int64 // bytes that stay free on the disk: 256 MiB
	_       struct{}
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 2 << 30
	}
	if l.Count <= 0 {
		l.Count = 64
	}
	if l.MaxCopy <= 0 {
		l.MaxCopy = 512 << 20
	}
	if l.MinFree <= 0 {
		l.MinFree = 256 << 20
	}
	return l
}

// Store is a directory of executables, mode 0700, files 0600. Any number of
// processes may use it at the same time; one that is killed leaves nothing that
// the next one does not put in order.
type Store struct {
	dir    string
	limits Limits
}

// New returns the store of a directory, which is made when something is kept.
func New(dir string, limits Limits) Store { return Store{dir, limits.withDefaults()} }

// keepTime bounds Keep.
const keepTime = time.Minute

// Keep keeps the executable of a process in the store of a directory, with the
// limits that are the default. It may take as long as a copy does, up to a minute,
// and belongs on a goroutine of its own at every start of a service. exe is its
// path, for when /proc does not let it be opened.
func Keep(dir string, pid int, exe string) error {
	ctx, cancel := context.WithTimeout(context.Background(), keepTime)
	defer cancel()
	s := New(dir, Limits{})
	id, err := s.Keep(ctx, fmt.Sprintf("/proc/%d/exe", pid))
	if exe != "" && (errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist)) {
		id, err = s.Keep(ctx, exe)
	}
	if err != nil {
		return err
	}
	return s.Use(id, pid)
}

// Keep keeps a file, unless it is there, and returns its id. The least recently
// used ones that no living process uses make room.
func (s Store) Keep(ctx context.Context, path string) (id string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot keep executable: %w", err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot keep executable: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("cannot keep executable %s: it is no regular file", path)
	}
	if id, err = identify(file); err != nil {
		return "", fmt.Errorf("cannot keep executable %s: %w", path, err)
	}
	if _, err := s.Find(id); err == nil {
		return id, nil
	}
	if info.Size() > s.limits.Bytes {
		return "", fmt.Errorf("cannot keep executable %s: its %d bytes are more than the store's %d", path, info.Size(), s.limits.Bytes)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot keep executable: %w", err)
	}
	take := s.take
	if info.Size() > s.limits.MaxCopy {
		take = s.link
	}
	if err := take(ctx, file, info.Size(), id); err != nil {
		return "", fmt.Errorf("cannot keep executable %s: %w", path, err)
	}
	return id, nil
}

// errChanged is what was written into while it was copied.
var errChanged = errors.New("it is another build than when it was begun")

// take brings a copy of a file under its id.
func (s Store) take(ctx context.Context, file *os.File, size int64, id string) (err error) {
	var out *os.File
	err = s.locked(ctx, func() (err error) {
		s.sweep()
		if err := errors.Join(s.makeRoom(size, id), s.room(size)); err != nil {
			return err
		}
		out, err = s.temporary()
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	if unix.IoctlFileClone(int(out.Fd()), int(file.Fd())) != nil {
		if err := copyAll(ctx, out, file); err != nil {
			return err
		}
	}
	// The contents count, not the plan: somebody may have written into it.
	if got, err := identify(out); err != nil || got != id {
		return errors.Join(err, errChanged)
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return os.Rename(out.Name(), s.path(id))
}

// link is for what is too large to copy.
func (s Store) link(ctx context.Context, file *os.File, size int64, id string) error {
	return s.locked(ctx, func() error {
		s.sweep()
		if err := s.makeRoom(size, id); err != nil {
			return err
		}
		from := file.Name()
		if path, err := os.Readlink(from); err == nil { // of /proc: the name on disk
			from = path
		}
		if disk, err := Identify(from); err != nil || disk != id {
			return fmt.Errorf("it is larger than %d bytes and not on disk under its name any more", s.limits.MaxCopy)
		}
		if err := os.Link(from, s.path(id)); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("it is larger than %d bytes: %w", s.limits.MaxCopy, err)
		}
		return nil
	})
}

// room refuses what would fill the disk.
func (s Store) room(size int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * fs.Bsize; free-size < s.limits.MinFree {
		return fmt.Errorf("%d bytes are free on the disk, and %d have to stay so", free, s.limits.MinFree)
	}
	return nil
}

// Find returns the path of a kept executable, which is of that build now. The
// error wraps os.ErrNotExist when there is none.
func (s Store) Find(id string) (string, error) {
	if !valid(id) {
		return "", fmt.Errorf("cannot find executable %.80q: that is no id: %w", id, os.ErrNotExist)
	}
	path := s.path(id)
	if err := unix.Access(path, unix.F_OK); err != nil {
		return "", fmt.Errorf("cannot find executable %s: %w", id, os.ErrNotExist)
	}
	now, err := Identify(path)
	if err != nil {
		return "", err
	}
	if now != id {
		_ = os.Remove(path) // a link of a file that was written into, or a copy that the disk lost
		return "", fmt.Errorf("cannot find executable %s: what was kept is another build now: %w", id, os.ErrNotExist)
	}
	s.touch(path)
	return path, nil
}

// touch makes it the most recently used one. The time of access: that of the
// contents belongs to whoever owns the file, should it be a link.
func (s Store) touch(path string) {
	_ = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_OMIT}}, 0)
}

// Use says that a process runs a kept executable, which stays as long as that
// process lives.
func (s Store) Use(id string, pid int) error {
	if !valid(id) {
		return fmt.Errorf("cannot note the use of %.80q: that is no id", id)
	}
	ticks, err := pidfd.StartTicks(pid)
	if err != nil {
		return fmt.Errorf("cannot note the use of an executable: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(s.dir, useName(id, pid, ticks)), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot note the use of an executable: %w", err)
	}
	return file.Close()
}

func (s Store) path(id string) string { return filepath.Join(s.dir, id) }

// temporary makes a file that is locked as long as somebody writes it. Only under
// the lock of the directory, or sweep could come between.
func (s Store) temporary() (*os.File, error) {
	file, err := os.CreateTemp(s.dir, temporaryPrefix+"*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func copyAll(ctx context.Context, to, from *os.File) error {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, 4<<20); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
