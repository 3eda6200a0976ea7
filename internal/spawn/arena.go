package spawn

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childStack is the size of the stack that the child has and does not use.
const childStack = 4096

// arena is memory outside of the Go heap that caller and child share. It holds
// the frame, the child's stack, the script and all that it points to.
type arena struct {
	mem  []byte
	used int
}

// newArena maps size bytes of zeroes.
func newArena(size int) (*arena, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	return &arena{mem: mem}, nil
}

// free unmaps the arena. No child may use it any more.
func (a *arena) free() {
	// munmap(2) of exactly what was mapped fails only when the process has
	// too many mappings, and then the kernel keeps a few unused pages.
	_ = unix.Munmap(a.mem)
}

// room reserves n zero bytes, aligned for any C type, and returns them.
func (a *arena) room(n int) []byte {
	start := (a.used + 15) &^ 15
	a.used = start + n
	return a.mem[start:a.used:a.used]
}

// text stores s with a NUL and returns its address.
func (a *arena) text(s string, extra int) uintptr {
	b := a.room(len(s) + 1 + extra)
	copy(b, s)
	return address(b)
}

// texts stores the strings and a vector of their addresses that ends in 0, and
// returns the address of the vector.
func (a *arena) texts(list []string) uintptr {
	vector := a.room(8 * (len(list) + 1))
	for i, s := range list {
		putWord(vector, i, a.text(s, 0))
	}
	return address(vector)
}

// sizeOf returns what texts needs for list, at most.
func sizeOf(list []string) int {
	n := 8*(len(list)+1) + 16
	for _, s := range list {
		n += len(s) + 1 + 16
	}
	return n
}

// address returns where b begins. b lies in an arena, never in the Go heap.
func address(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// putWord stores v as word i of b.
func putWord(b []byte, i int, v uintptr) {
	binary.NativeEndian.PutUint64(b[8*i:], uint64(v))
}
