package watchdog

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path that sockaddr_un(7) holds, without its NUL.
const maxSocketPath = 107

// Listen creates the datagram socket that a service reports to, bound to path,
// close-on-exec and non-blocking. A socket left at path by an earlier run is
// replaced; anything else there is an error. The file's mode lets every user
// write: a service may run as any user, the directory above decides who gets
// near, and Receiver checks each sender.
func Listen(path string) (*os.File, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("cannot listen on %s: path longer than %d bytes", path, maxSocketPath)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot create notify socket: %w", err)
	}
	if err := setUp(fd, path); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func setUp(fd int, path string) error {
	if err := passIdentity(fd); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err == nil {
		if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
			return fmt.Errorf("cannot listen on %s: something that is no socket is there", path)
		}
		if err := unix.Unlink(path); err != nil {
			return fmt.Errorf("cannot remove old socket %s: %w", path, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("cannot bind notify socket %s: %w", path, err)
	}
	if err := unix.Chmod(path, 0o666); err != nil {
		return fmt.Errorf("cannot change mode of notify socket %s: %w", path, err)
	}
	return nil
}

// passIdentity asks the kernel to attach the sender's pid and uid, and a pidfd
// where it can, to every datagram.
func passIdentity(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("cannot ask for credentials of senders: %w", err)
	}
	// Linux 6.5; without it a sender is judged by its pid alone.
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("cannot ask for pidfds of senders: %w", err)
	}
	return nil
}
