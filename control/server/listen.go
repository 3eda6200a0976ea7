package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/vigil-supervisor/vigil/internal/fault"
	"github.com/vigil-supervisor/vigil/internal/place"
)

// ErrInUse is wrapped by the error of Listen when somebody answers on the socket.
var ErrInUse = errors.New("server: the socket is in use")

// Listener is a unix socket with a path. Closing it removes the path, unless
// another listener has taken the path over by then.
type Listener struct {
	*net.UnixListener
	path string
	own  os.FileInfo
	once sync.Once
}

// Listen makes the socket path with mode 0600. A socket on which nobody answers
// is replaced in one step; one that answers is ErrInUse. Whatever else is at
// path is left alone. Two callers at the same time must be kept apart by a lock.
func Listen(path string) (*Listener, error) {
	if err := place.CheckSocket(path); err != nil {
		return nil, err
	}
	if err := checkStale(path); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	// Under another name first: at no time is there a socket at path that has
	// another mode, or that does not answer. Always the same one, so that those
	// who were killed at this point leave no more than one file.
	temporary := temporaryName(path)
	if err := checkStale(temporary); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %s: %w", path, temporary, err)
	}
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	l := &Listener{UnixListener: ln, path: path}
	if fault.Enabled {
		fault.Point("before publish")
	}
	if err := l.publish(temporary); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, errors.Join(err, ln.Close(), os.Remove(temporary)))
	}
	return l, nil
}

// temporaryName is a hidden name beside path, no longer than it where that can
// be: a path may be as long as the kernel allows.
func temporaryName(path string) string {
	dir, base := filepath.Split(path)
	if len(base) > 2 {
		base = base[:len(base)-1]
	}
	return dir + "." + base
}

// Path returns the path of the socket.
func (l *Listener) Path() string { return l.path }

func (l *Listener) publish(temporary string) (err error) {
	if err := os.Chmod(temporary, 0o600); err != nil {
		return err
	}
	if l.own, err = os.Lstat(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, l.path)
}

// Close stops listening and removes the path if it is still this socket's.
func (l *Listener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.own) {
			_ = os.Remove(l.path) // what stays is stale, and Listen replaces it
		}
	})
	return l.UnixListener.Close()
}

// checkStale returns nil when a socket may be put at path.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file that is not a socket")
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	switch {
	case err == nil:
		_ = conn.Close()
		return ErrInUse
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.EAGAIN): // its backlog is full: somebody listens
		return ErrInUse
	default:
		return err
	}
}
