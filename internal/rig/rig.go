// Package rig starts the supervisors that the benchmarks compare, each in a
// directory of its own, and stops them again: by process, with all that
// descends from them.
package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a supervisor may take to come up, or to stop.
const patience = 60 * time.Second

// Monotonic is CLOCK_MONOTONIC, the clock that the probes tell too.
func Monotonic() time.Duration { return read(unix.CLOCK_MONOTONIC) }

// Boot is CLOCK_BOOTTIME, the clock of vigil's timelines.
func Boot() time.Duration { return read(unix.CLOCK_BOOTTIME) }

func read(clock int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(clock, &ts) // cannot fail for these clocks
	return time.Duration(ts.Nano())
}

// Wait asks done every few milliseconds until it says yes, ends with an error,
// or the time is over. It is for things that tell nobody when they happen.
func Wait(what string, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot wait longer than %s for %s", limit, what)
		}
	}
}

// Supervisor is one that runs.
type Supervisor struct {
	Name string
	Dir  string // its own; removed by Stop

	cmd    *exec.Cmd
	ended  chan error
	stop   syscall.Signal
	binary string // of vigil
}

// PID is the process that was started: vigil's keeper, runsvdir, s6-svscan.
func (s *Supervisor) PID() int { return s.cmd.Process.Pid }

// Stop ends the supervisor and whatever is left below this program, and removes
// its directory.
func (s *Supervisor) Stop() error {
	pids := Descendants(s.PID())
	err := s.cmd.Process.Signal(s.stop)
	if err == nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-s.ended:
		case <-timer.C:
			err = fmt.Errorf("cannot stop %s within %s: killed", s.Name, patience)
			_ = s.cmd.Process.Kill()
			<-s.ended
		}
	}
	return errors.Join(err, reapAll(pids), os.RemoveAll(s.Dir))
}

// reapAll waits for the former descendants, which are children of this program
// now, and kills those that do not end by themselves. A pid of the list that is
// no child any more is somebody else's and is left alone.
func reapAll(pids []int) error {
	begin := time.Now()
	return Wait("the processes of a supervisor to end", patience, func() (bool, error) {
		left := 0
		for _, pid := range pids {
			n, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
			if n != 0 || err != nil {
				continue // reaped, or ECHILD: not ours
			}
			left++
			if time.Since(begin) > 5*time.Second {
				_ = unix.Kill(pid, unix.SIGKILL) // not reaped, so the pid is still its own
			}
		}
		return left == 0, nil
	})
}

func start(name, dir string, stop syscall.Signal, env []string, path string, args ...string) (*Supervisor, error) {
	// What a supervisor leaves behind when it ends comes to us.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become a subreaper: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	s := &Supervisor{Name: name, Dir: dir, cmd: cmd, stop: stop, ended: make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	return s, nil
}

// Descendants lists every process below pid, parents first.
func Descendants(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), Descendants(child)...)
			}
		}
	}
	return all
}
