// Package nofile remembers the limit of open files that this process was
// started with.
//
// Package os raises the soft limit to the hard one in its init; os/exec undoes
// that in children, with a value that it does not export. Go initialises
// packages whose imports are ready in the order of their import paths (language
// specification, "Program initialization"), and this one imports only syscall,
// so it reads the limit before package os changes it (TestOpenFilesLimit of package spawn).
package nofile

import "syscall"

// inherited is written once, here.
var inherited, inheritedErr = read()

func read() (syscall.Rlimit, error) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l, err
}

// Inherited returns the soft and the hard limit at the start of the process,
// and whether they could be read.
func Inherited() (soft, hard uint64, ok bool) {
	return inherited.Cur, inherited.Max, inheritedErr == nil
}
