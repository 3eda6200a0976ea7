package place

import (
	"errors"
	"fmt"
	"path/filepath"
)

// MaxSocketPath is the longest path of a unix socket, in bytes: sun_path has
// 108, and the terminating zero takes one; unix(7).
const MaxSocketPath = 107

// ErrSocketPath is wrapped by errors about a path that is too long for a socket.
var ErrSocketPath = errors.New("place: too long for a unix socket")

// CheckSocket fails when a socket cannot have that path; it wraps ErrSocketPath.
func CheckSocket(path string) error {
	if len(path) > MaxSocketPath {
		return fmt.Errorf("cannot use path %s: %w: it has %d bytes, the kernel takes %d; choose a shorter directory by --runtime-dir or %s",
			path, ErrSocketPath, len(path), MaxSocketPath, EnvRuntimeDir)
	}
	return nil
}

// Socket returns the path of a socket in the runtime directory. The error wraps
// ErrSocketPath.
func (p Place) Socket(name string) (string, error) {
	path := filepath.Join(p.Runtime, name)
	return path, CheckSocket(path)
}
