// Package cgroup keeps every service in a cgroup v2 of its own, which no
// process leaves by forking, daemonising or changing its session, and which the
// kernel kills as a whole.
//
// No controller is needed. Groups are leaves below the cgroup of this process,
// which itself stays where it is: where controllers are enabled for children,
// the "no internal processes" rule of cgroup v2 would ask it to move, and this
// package enables none.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Why there is no usable hierarchy.
var (
	ErrNotMounted = errors.New("cgroup: no cgroup v2 hierarchy is mounted")
	ErrReadOnly   = errors.New("cgroup: the cgroup v2 hierarchy is mounted read-only")
	ErrOutside    = errors.New("cgroup: our own cgroup is outside of the mounted hierarchy")
	ErrName       = errors.New("cgroup: not usable as the name of a group")
)

// Base is the directory of this process's own cgroup, below which groups are
// made.
type Base struct {
	path string
}

// Path returns the directory, such as "/sys/fs/cgroup/system.slice/vigil.service".
func (b Base) Path() string { return b.path }

// Find returns the Base of this process, on a pure v2 system or on a hybrid one
// (/sys/fs/cgroup/unified). The error says why there is none: ErrNotMounted,
// ErrReadOnly, ErrOutside, or fs.ErrPermission without delegation.
func Find() (Base, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Base{}, fmt.Errorf("cannot look for cgroups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return Base{}, fmt.Errorf("cannot look for our own cgroup: %w", err)
	}
	path, err := locate(string(mounts), string(own))
	if err != nil {
		return Base{}, fmt.Errorf("cannot use cgroups: %w", err)
	}
	if err := writable(path); err != nil {
		return Base{}, fmt.Errorf("cannot make cgroups in %s: %w", path, err)
	}
	return Base{path: path}, nil
}

// writable says whether groups can be made in the directory at path.
func writable(path string) error {
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if errors.Is(err, unix.EROFS) {
		return ErrReadOnly
	}
	return err
}

// locate computes the directory of our cgroup from the texts of mountinfo and
// cgroup of /proc/self.
func locate(mountinfo, own string) (string, error) {
	root, point, ok := mountPoint(mountinfo)
	if !ok {
		return "", ErrNotMounted
	}
	path, ok := ownPath(own)
	if !ok {
		return "", ErrNotMounted
	}
	// "/..": a cgroup namespace whose root we are above of.
	if path == "/.." || strings.HasPrefix(path, "/../") {
		return "", ErrOutside
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", ErrOutside
	}
	return filepath.Join(point, rel), nil
}

// mountPoint returns the root and the mount point of the first cgroup2 mount.
// A line is: id parent major:minor root point options [optional...] - type
// source superoptions.
func mountPoint(mountinfo string) (root, point string, ok bool) {
	for line := range strings.Lines(mountinfo) {
		head, tail, found := strings.Cut(line, " - ")
		fields := strings.Fields(head)
		if found && strings.HasPrefix(tail, "cgroup2 ") && len(fields) >= 6 {
			return unescape(fields[3]), unescape(fields[4]), true
		}
	}
	return "", "", false
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// ownPath returns the path of the v2 hierarchy, the line "0::/path".
func ownPath(own string) (string, bool) {
	for line := range strings.Lines(own) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok && strings.HasPrefix(path, "/") {
			return strings.TrimSuffix(path, " (deleted)"), true
		}
	}
	return "", false
}

// Make makes the group name below b, or takes it over if it exists: a group
// left behind by a predecessor may hold processes. A name is one path element.
func (b Base) Make(name string) (Group, error) {
	if name == "" || name == "." || name == ".." || len(name) > 200 || strings.ContainsAny(name, "/\n\x00") {
		return Group{}, fmt.Errorf("cannot make cgroup %q: %w", name, ErrName)
	}
	path := filepath.Join(b.path, name)
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return Group{}, fmt.Errorf("cannot make cgroup %s: %w", path, err)
	}
	return Open(path)
}
