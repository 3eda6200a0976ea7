package proctask

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setName names the calling thread; name ends with a NUL.
func setName(name []byte) error {
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
}
