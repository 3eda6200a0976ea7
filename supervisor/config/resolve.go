package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrIsDirectory says that a command names a directory.
var ErrIsDirectory = errors.New("config: is a directory")

// programError is a sentence about a program, and what kind of error it is.
type programError struct {
	text string
	kind error
}

func (e *programError) Error() string { return e.text }
func (e *programError) Unwrap() error { return e.kind }

func refuse(kind error, format string, args ...any) error {
	return &programError{fmt.Sprintf(format, args...), kind}
}

// defaultPath is searched when a service has no PATH, as execvp(3) does.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Resolve finds the program of a service. It is asked at every start, since
// programs come and go. The error wraps fs.ErrNotExist, fs.ErrPermission or
// ErrIsDirectory.
func Resolve(s Service) (string, error) {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return "", refuse(fs.ErrNotExist, "the command of service %q is empty", s.Name)
	}
	name := s.Command[0]
	if strings.Contains(name, "/") {
		return name, executable(s.below(name), name)
	}
	path := variable(Environment(s, os.Environ()), "PATH", defaultPath)
	var refused error
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		full := filepath.Join(dir, name)
		err := executable(s.below(full), full)
		if err == nil {
			if !strings.Contains(full, "/") {
				full = "./" + full
			}
			return full, nil
		}
		if refused == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			refused = err
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", refuse(fs.ErrNotExist, "command %q not found in PATH (%s)", name, path)
}

// below is a path as the service will see it, from its working directory.
func (s Service) below(path string) string {
	if filepath.IsAbs(path) || s.Directory == "" {
		return path
	}
	return filepath.Join(s.Directory, path)
}

// executable reports why a file cannot be executed. name is what to call it.
func executable(path, name string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse(fs.ErrNotExist, "command %q does not exist", name)
	case err != nil:
		return fmt.Errorf("cannot look at command %q: %w", name, unwrapPath(err))
	case info.IsDir():
		return refuse(ErrIsDirectory, "command %q is a directory", name)
	case info.Mode()&0o111 == 0:
		return refuse(fs.ErrPermission, "command %q is not executable (chmod +x it)", name)
	}
	return nil
}

func variable(env []string, name, other string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return other
}
