package watchdog

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// GimliPageName is the name of the memfd, as /proc/PID/maps shows it.
const GimliPageName = "vigil-gimli"

// gimliPageSize is one page of memory: what mmap gives for the 8 bytes.
const gimliPageSize = 4096

// GimliPage is the memory in which a program that is linked with libgimli beats.
type GimliPage struct {
	memory []byte
	words  *wire.GimliWords
}

// NewGimliPage makes a memfd of zeros, which say that nobody has attached. The
// caller closes it; mapped or not, it lives for as long as somebody has it.
func NewGimliPage() (*os.File, error) {
	f, err := newSealed(GimliPageName, gimliPageSize, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make the heartbeat segment of libgimli: %w", err)
	}
	return f, nil
}

// MapGimliPage maps what NewGimliPage made, perhaps of a supervisor before.
func MapGimliPage(f *os.File) (*GimliPage, error) {
	memory, err := mapSealed(f, gimliPageSize, gimliPageSize)
	if err != nil {
		return nil, fmt.Errorf("cannot map the heartbeat segment of libgimli: %w", err)
	}
	return &GimliPage{memory: memory, words: (*wire.GimliWords)(unsafe.Pointer(&memory[0]))}, nil
}

// Close unmaps it. No method may be called afterwards, nor of a judge of it.
func (p *GimliPage) Close() error {
	p.words = nil
	return unix.Munmap(p.memory)
}
