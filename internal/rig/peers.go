package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Run makes the file `run` of a service in its directory.
type Run func(path string) error

// Link makes `run` the program itself, without a shell in front of it.
func Link(program string) Run {
	return func(path string) error { return os.Symlink(program, path) }
}

// Script makes `run` a shell script that becomes the command.
func Script(command string) Run {
	return func(path string) error {
		return os.WriteFile(path, []byte("#!/bin/sh\nexec "+command+"\n"), 0o755)
	}
}

// Runit starts runsvdir over n services; exec.ErrNotFound when it is missing.
func Runit(n int, run Run, env ...string) (*Supervisor, error) {
	// HUP: runsvdir sends TERM to each runsv, which stops its service.
	return scanner("runit", "runsvdir", syscall.SIGHUP, n, run, env)
}

// NotificationFD is where a service of S6 tells that it is ready.
const NotificationFD = 3

// S6 starts s6-svscan over n services; exec.ErrNotFound when it is missing.
// ready says that the services write a newline to NotificationFD.
func S6(n int, run Run, ready bool, env ...string) (*Supervisor, error) {
	if ready {
		link := run
		run = func(path string) error {
			file := filepath.Join(filepath.Dir(path), "notification-fd")
			return errors.Join(link(path), os.WriteFile(file, []byte("3\n"), 0o644))
		}
	}
	return scanner("s6", "s6-svscan", syscall.SIGTERM, n, run, env)
}

func scanner(name, program string, stop syscall.Signal, n int, run Run, env []string) (*Supervisor, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("cannot compare with %s: %w", name, err)
	}
	dir, err := os.MkdirTemp("", "vigil-bench-"+name+"-")
	if err != nil {
		return nil, err
	}
	services := filepath.Join(dir, "services")
	for i := range n {
		service := filepath.Join(services, fmt.Sprintf("s%03d", i))
		if err := errors.Join(os.MkdirAll(service, 0o755), run(filepath.Join(service, "run"))); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	s, err := start(name, dir, stop, env, path, services)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}
