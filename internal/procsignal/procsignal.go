// Package procsignal tells what a process does with a signal, from the masks in
// /proc/PID/status (proc_pid_status(5)).
package procsignal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Answer is what a process does with a signal.
type Answer int

// All answers.
const (
	Default Answer = iota // it has no handler: what signal(7) says happens, mostly its end
	Ignores
	Handles // by a handler, or it blocks the signal and takes it by sigwait(3) or signalfd(2)
)

// maxStatus bounds what is read of a status; it has about 1.5 KiB.
const maxStatus = 64 << 10

// Of asks what process pid does with a signal at present. Blocking is a matter
// of each thread; the main thread is asked.
func Of(pid int, sig syscall.Signal) (Answer, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return Default, fmt.Errorf("cannot ask what process %d does with a signal: %w", pid, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxStatus))
	if err != nil {
		return Default, fmt.Errorf("cannot ask what process %d does with a signal: %w", pid, err)
	}
	return parse(string(text), sig), nil
}

func parse(status string, sig syscall.Signal) Answer {
	if sig < 1 || sig > 64 {
		return Default
	}
	has := map[string]bool{}
	for line := range strings.Lines(status) {
		key, value, ok := strings.Cut(line, ":")
		if !ok || key != "SigBlk" && key != "SigIgn" && key != "SigCgt" {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		has[key] = err == nil && mask>>(uint(sig)-1)&1 == 1
	}
	switch {
	case has["SigCgt"]:
		return Handles
	case has["SigIgn"]: // also where the main thread blocks it, as that of a Go program may
		return Ignores
	case has["SigBlk"]:
		return Handles
	}
	return Default
}

// Harmless reports whether a signal does nothing to a process that has no
// handler for it: the "Ign" and "Cont" of signal(7).
func Harmless(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGURG, syscall.SIGWINCH:
		return true
	}
	return false
}
