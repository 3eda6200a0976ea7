package intake

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/vigil-supervisor/vigil/signals"
)

// recordSize is sizeof(siginfo_t), which the handler writes as it is.
const recordSize = 128

// What the handler shares with Go. It is read and written by assembly.
var (
	// writeEnd is the pipe's; it is set before the first handler is installed
	// and never changes.
	writeEnd int32

	// missed counts by signal what the pipe had no room for. The handler counts,
	// and then tries to write poke: either that succeeds and wakes the reader, or
	// the pipe is still full, and the reader, who looks at the counters after
	// every read, has a read before it. So no count is left alone.
	missed [65]uint64

	// poke is a record with signal 0.
	//lint:ignore U1000 only assembly reads it
	poke [recordSize]byte
)

func handlerAddress() uintptr

// restorerAddress is 0 where the kernel needs none.
func restorerAddress() uintptr

// Flags of struct sigaction (sigaction(2)). onStack: the thread's alternate
// stack, for a goroutine's own may have no room for a signal frame.
const (
	flagSigInfo  = 0x4
	flagRestorer = 0x04000000
	flagOnStack  = 0x08000000
	flagRestart  = 0x10000000
)

// action is the kernel's struct sigaction on amd64 and arm64.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// install puts the handler in place of whatever is there, SIG_IGN included.
func install(sig syscall.Signal) error {
	a := action{handler: handlerAddress(), flags: flagSigInfo | flagOnStack | flagRestart, mask: ^uint64(0)}
	if a.restorer = restorerAddress(); a.restorer != 0 {
		a.flags |= flagRestorer
	}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&a)), 0, unsafe.Sizeof(a.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("cannot install the handler of signal %s: %w", signals.Name(sig), errno)
	}
	return nil
}

// refuse says why a signal must not be taken from the Go runtime or the kernel.
func refuse(sig syscall.Signal) error {
	why := ""
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP:
		why = "it cannot be caught"
	case syscall.SIGURG, syscall.SIGPROF:
		why = "the Go runtime needs it"
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGSYS:
		why = "it tells of an error of our own"
	case 32, 33, 34:
		why = "C libraries and the Go runtime need it"
	default:
		if sig < 1 || sig > 64 {
			why = "there is no such signal"
		}
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("cannot take signal %s: %s", signals.Name(sig), why)
}
