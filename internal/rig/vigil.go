package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Status is what the benchmarks read of `vigil status --json`.
type Status struct {
	Service  string `json:"service"`
	State    string `json:"state"`
	PID      int    `json:"pid"`
	Instance uint64 `json:"instance"`
}

// Vigil starts `vigil up` of the binary with a configuration.
func Vigil(binary, name, configuration string, env ...string) (*Supervisor, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("cannot find vigil (make build makes it): %w", err)
	}
	dir, err := os.MkdirTemp("", "vigil-bench-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "vigil.toml")
	for _, sub := range []string{"run", "state"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	if err = errors.Join(err, os.WriteFile(file, []byte(configuration), 0o600)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s, err := start(name, dir, syscall.SIGTERM, env, binary, "up", "--name", "bench", "--runtime-dir", filepath.Join(dir, "run"), "--state-dir", filepath.Join(dir, "state"), file)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.binary = binary
	return s, nil
}

// Ask runs the vigil command against this instance and decodes its JSON.
func (s *Supervisor) Ask(into any, args ...string) error {
	args = append(args, "--json", "--runtime-dir", filepath.Join(s.Dir, "run"), "--state-dir", filepath.Join(s.Dir, "state"))
	out, err := exec.Command(s.binary, args...).Output()
	if err != nil {
		return fmt.Errorf("cannot run vigil %s: %w", args[0], err)
	}
	return json.Unmarshal(out, into)
}

// Running waits until n services run.
func (s *Supervisor) Running(n int) error {
	return Wait(fmt.Sprintf("%d services of %s to run", n, s.Name), patience, func() (bool, error) {
		var list []Status
		if err := s.Ask(&list, "status"); err != nil {
			select {
			case end := <-s.ended:
				s.ended <- end
				log, _ := os.ReadFile(filepath.Join(s.Dir, "output"))
				return false, fmt.Errorf("cannot go on: %s has ended: %v\n%s", s.Name, end, log)
			default:
				return false, nil // it is not up yet
			}
		}
		up := 0
		for _, one := range list {
			if one.State == "running" {
				up++
			}
		}
		return up == n, nil
	})
}
