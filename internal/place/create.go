package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrForeign is wrapped by errors about a directory in /tmp that others made
// or can write to.
var ErrForeign = errors.New("place: not private to this user")

// Create makes both directories, mode 0700, and checks that they can be written
// to. The mode of a directory that exists is left alone. Errors name the
// directory, wrap the kernel's, and say how to choose another.
func (p Place) Create() error {
	if p.private != "" {
		if err := makePrivate(p.private, p.uid); err != nil {
			return err
		}
	}
	if err := create("runtime", p.Runtime, "--runtime-dir or "+EnvRuntimeDir); err != nil {
		return err
	}
	return create("state", p.State, "--state-dir or "+EnvStateDir)
}

func create(noun, dir, other string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot create %s directory %s: %w; choose another by %s", noun, dir, bare(err), other)
	}
	if err := try(dir); err != nil {
		return fmt.Errorf("cannot write to %s directory %s: %w; choose another by %s", noun, dir, bare(err), other)
	}
	return nil
}

// try writes for certain: what access(2) says to root is not what happens on
// every file system.
func try(dir string) error {
	f, err := os.CreateTemp(dir, ".try-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// bare drops operation and path, which the sentence around it has.
func bare(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// makePrivate makes a directory in a place where others could have made it.
func makePrivate(dir string, uid int) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot create directory %s: %w; choose another by --runtime-dir or %s", dir, bare(err), EnvRuntimeDir)
	}
	return checkPrivate(dir, uid)
}

// checkPrivate fails when dir is absent (fs.ErrNotExist), or when anybody but
// its owner uid could put something into it. What is good stays good: in /tmp,
// sticky, nobody else can rename or remove it.
func checkPrivate(dir string, uid int) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("cannot examine directory %s: %w", dir, err)
	}
	why := ""
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		why = "it is not a directory"
	case int(st.Uid) != uid:
		why = fmt.Sprintf("it belongs to uid %d", st.Uid)
	case st.Mode&0o077 != 0:
		why = fmt.Sprintf("its mode is %#o, not 0700", st.Mode&0o777)
	default:
		return nil
	}
	return fmt.Errorf("cannot use directory %s: %w: %s; set XDG_RUNTIME_DIR or choose another by --runtime-dir or %s",
		dir, ErrForeign, why, EnvRuntimeDir)
}
