package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// delays after execve at which a signal is sent.
var delays = []time.Duration{
	0, 1 * time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond, 5 * time.Millisecond,
	7 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond,
}

// window shows how long after its execve a vigil can still be ended by a HUP:
// the time from its first instruction to its handler. A Go program without a
// handler, which can be ended at any time, is not of interest; one that takes
// its signals first thing in main would be, and is what the row of 0 ms of
// every Go program looks like.
func window(vigil string, trials int) error {
	dir, err := os.MkdirTemp("", "vigil-window-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "vigil.toml")
	if err := os.WriteFile(config, []byte("[service.a]\ncommand = [\"sleep\", \"1000\"]\n"), 0o600); err != nil {
		return err
	}
	fmt.Printf("HUP so long after execve of vigil up, %d trials each\n", trials)
	for _, d := range delays {
		ended := 0
		for range trials {
			died, err := struck(vigil, dir, config, d)
			if err != nil {
				return err
			}
			if died {
				ended++
			}
		}
		fmt.Printf("%8v  %d ended by it\n", d, ended)
	}
	return nil
}

// grace is how long a process that was struck may take to end.
const grace = 300 * time.Millisecond

// struck starts a vigil, sends it HUP after d, and reports whether that ended it.
func struck(vigil, dir, config string, d time.Duration) (bool, error) {
	cmd := exec.Command(vigil, "--runtime-dir", filepath.Join(dir, "run"), "--state-dir", filepath.Join(dir, "state"), "up", config)
	if err := cmd.Start(); err != nil {
		return false, err
	}
	over := make(chan error, 1)
	timer := time.NewTimer(d)
	go func() { over <- cmd.Wait() }()
	<-timer.C
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	select {
	case <-over:
		return true, nil
	case <-ctx.Done():
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return false, err
	}
	select {
	case <-over:
		return false, nil
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-over
		return false, fmt.Errorf("vigil did not end within %v of TERM", patience)
	}
}
