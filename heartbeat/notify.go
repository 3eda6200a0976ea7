package heartbeat

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Notify sends one message of sd_notify(3), such as "READY=1" or
// "X_VIGIL_BEAT=flusher". Without NOTIFY_SOCKET in the environment it does
// nothing. While the queue of the receiver is full it waits.
func Notify(message string) error {
	path := os.Getenv("NOTIFY_SOCKET") // @ means the abstract namespace, as it does to package unix
	if path == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot notify: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		err := unix.Sendto(fd, []byte(message), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: path})
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("cannot notify %s: %w", path, err)
		}
	}
}
