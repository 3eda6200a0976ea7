package openfiles

import (
	"path/filepath"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// rotatedName is what logrotate(8) makes of a name: a number or date behind it
// (app.log.1, app.log-20261124), or before its extension (app-20261124.log).
var rotatedName = regexp.MustCompile(`^(.+?)[.-][0-9][0-9.:_-]*(\.[A-Za-z]+)?$`)

// Original returns the name that a rotated file had, as far as its present name
// tells; "" when it does not look rotated.
func Original(path string) string {
	m := rotatedName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return ""
	}
	return filepath.Join(filepath.Dir(path), m[1]+m[2])
}

// Rotated reports whether a file that process pid writes to was rotated under
// it. before is the name that the file had at an earlier time, "" when that is
// not known. Without it only a file that is appended to is judged, since others
// keep data in files that are deleted or numbered: it is rotated when it is
// deleted, or when it has a rotated name and another file has the original one.
func (f File) Rotated(pid int, before string) bool {
	switch {
	case before != "" && (f.Deleted || before != f.Path):
		return true
	case !f.Append:
		return false
	case f.Deleted:
		return true
	}
	original := Original(f.Path)
	if original == "" {
		return false
	}
	other, ok := identify("/proc/"+strconv.Itoa(pid)+"/root"+original, unix.AT_SYMLINK_NOFOLLOW)
	return ok && other != f.ID
}
