package rig

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
)

// burnVariable makes a bench a process that only spins.
const burnVariable = "VIGIL_BENCH_BURN"

// BurnIfAsked spins for ever in a process that Burn started, and returns at once
// in any other. A bench that uses Burn calls it first.
func BurnIfAsked() {
	if os.Getenv(burnVariable) == "" {
		return
	}
	for n := uint64(0); ; n++ {
		burned.Store(n)
	}
}

// burned keeps the compiler from leaving the work out.
var burned atomic.Uint64

// Burn keeps every processor busy until end is called, or the caller dies.
func Burn() (end func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find the bench itself: %w", err)
	}
	var all []*exec.Cmd
	end = func() {
		for _, cmd := range all {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for range runtime.NumCPU() {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), burnVariable+"=1", "GOMAXPROCS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			end()
			return nil, fmt.Errorf("cannot start a process that spins: %w", err)
		}
		all = append(all, cmd)
	}
	return end, nil
}
