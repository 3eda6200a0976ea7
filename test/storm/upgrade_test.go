package storm

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// install gives vigil a program of its own, from which the storm takes and puts
// back the next version.
func (v *vigil) install() {
	v.t.Helper()
	v.own = v.path("vigil")
	program, err := os.ReadFile(v.binary)
	if err != nil {
		v.t.Fatal(err)
	}
	v.replace(program, 0o755)
}

// replace puts a program in the place of vigil's, in one step.
func (v *vigil) replace(program []byte, mode os.FileMode) {
	v.t.Helper()
	temporary := filepath.Join(v.dir, "vigil.new")
	_ = os.Remove(temporary)
	if err := os.WriteFile(temporary, program, mode); err != nil {
		v.t.Error(err)
		return
	}
	if err := os.Rename(temporary, v.own); err != nil {
		v.t.Error(err)
	}
}

// upgrade replaces the program that the next reload starts: by a good one, or
// by one with which the reload has to be refused.
func (s *storm) upgrade(rnd *rand.Rand) {
	program, err := os.ReadFile(s.v.binary)
	if err != nil {
		s.v.t.Error(err)
		return
	}
	bad := []struct {
		program []byte
		mode    os.FileMode
	}{
		{nil, 0o755},
		{program[:4096], 0o755},
		{program, 0o644},
		{[]byte("#!/bin/sh\nexit 7\n"), 0o755},
		{[]byte("#!/no/such/interpreter\n"), 0o755},
	}
	if which := rnd.IntN(2 * len(bad)); which < len(bad) {
		s.v.replace(bad[which].program, bad[which].mode)
		s.done.add("broken programs", 1)
		s.pause(rnd, 500*time.Millisecond)
	}
	s.v.replace(program, 0o755)
	s.done.add("good programs", 1)
}
