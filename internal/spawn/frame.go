package spawn

import (
	"unsafe"
)

// frame is what the assembly reads and writes; vfork_GOARCH.s knows the offsets
// (TestFrameLayout). It lies at the start of the arena.
type frame struct {
	script uintptr    // 0: first entry
	clone  uintptr    // 8: system call number
	args   [5]uintptr // 16: its arguments
	block  uint64     // 56: mask around the clone
	saved  uint64     // 64: mask before
	pid    int        // 72: result of the clone, or -errno
	step   uintptr    // 80: address of the entry being executed; written by the child
	errno  uintptr    // 88: errno of that entry; written by the child
}

// entry is one system call of the script. The result goes to *store unless
// that is 0. Errors whose errno (below 64) has its bit in tolerate are passed
// over.
type entry struct {
	nr       uintptr
	args     [6]uintptr
	tolerate uint64
	store    uintptr
}

// nrPutPID is not a system call: the child writes its pid in decimal, and a
// NUL, to the address in args[0].
const nrPutPID = ^uintptr(0)

// vfork runs f. It returns when the child has passed execve or is gone.
//
//go:noescape
func vfork(f *frame)

// entersyscall tells the scheduler that this thread may be away for long.
//
//go:linkname entersyscall runtime.entersyscall
func entersyscall()

// exitsyscall ends what entersyscall began.
//
//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// run is vfork as a system call in the eyes of the scheduler. Like
// syscall.Syscall it may not grow the stack in between.
//
//go:nosplit
//go:norace
func run(f *frame) {
	entersyscall()
	vfork(f)
	exitsyscall()
}

const (
	frameSize = unsafe.Sizeof(frame{})
	entrySize = unsafe.Sizeof(entry{})
)
