// Package c has the header for C and C++; its tests compile and run it.
package c

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/pagetest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// need returns the path of a program, or skips the test.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("no %s: install the Debian package %s", program, debian)
	}
	return path
}

// compile returns the path of the program that a compiler makes of testdata.
func compile(t *testing.T, compiler string, arguments ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command(compiler, append(arguments, "-o", program)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return program
}

// run starts a client with f as descriptor 3, if f is not nil.
func run(program string, f *os.File, env ...string) (out string, pid int, err error) {
	cmd := exec.Command(program)
	cmd.Env = env
	if f != nil {
		cmd.ExtraFiles = []*os.File{f}
	}
	b, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		pid = cmd.Process.Pid
	}
	return string(b), pid, err
}

func newPage(t *testing.T, slots int) *pagetest.Page {
	t.Helper()
	p, err := pagetest.New(slots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestEveryStandard(t *testing.T) {
	for _, tt := range []struct {
		compiler, debian, language string
		standards                  []string
	}{
		{"gcc", "gcc", "c", []string{"c99", "c11", "gnu11", "c17", "c2x"}},
		{"g++", "g++", "c++", []string{"c++11", "c++17", "c++20", "gnu++23"}},
		{"clang", "clang", "c", []string{"c11"}},
		{"clang++", "clang", "c++", []string{"c++17"}},
	} {
		for _, standard := range tt.standards {
			t.Run(tt.compiler+" "+standard, func(t *testing.T) {
				t.Parallel()
				program := compile(t, need(t, tt.compiler, tt.debian), "-std="+standard, "-x", tt.language, "-O2", "-pthread",
					"-Wall", "-Wextra", "-Wshadow", "-pedantic", "-Werror", "-I.", "testdata/client.c")
				checkClient(t, program)
			})
		}
	}
}

// checkClient runs testdata/client.c with a page of three slots and without.
func checkClient(t *testing.T, program string) {
	if out, _, err := run(program, nil); err != nil {
		t.Errorf("without vigil: %v\n%s", err, out)
	}
	p := newPage(t, 3)
	out, pid, err := run(program, p.File, "VIGIL_HEARTBEAT_FD=3")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	owner := wire.Slot{PID: uint32(pid), TID: uint32(pid)}
	want := []wire.Slot{owner, owner, owner}
	want[0].Name, want[0].Serial, want[0].Timeout = "first-ä", 1, 2*time.Second
	want[0].State, want[0].Beats, want[0].Pulse = wire.Busy, 3, 3<<8|uint64(wire.Busy)
	want[1].Name, want[1].Serial = "0123456789012345678901234567890", 1
	want[1].State, want[1].Beats, want[1].Pulse = wire.Stopping, 3, 3<<8|uint64(wire.Stopping)
	want[2].Name, want[2].Serial = "fourth", 2
	want[2].State, want[2].Beats, want[2].Pulse = wire.Idle, 1, 1<<8|uint64(wire.Idle)
	taken, err := p.Taken()
	if err != nil || len(taken) != 3 {
		t.Fatalf("%+v, %v", taken, err)
	}
	for i := range want {
		if taken[i] != want[i] {
			t.Errorf("slot %d\n got %+v\nwant %+v", i, taken[i], want[i])
		}
	}
}

func TestRefusals(t *testing.T) {
	program := compile(t, need(t, "gcc", "gcc"), "-I.", "testdata/client.c")
	list, err := pagetest.Refusals()
	defer func() { _ = pagetest.CloseAll(list) }()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		out, _, err := run(program, r.File, "VIGIL_HEARTBEAT_FD="+r.Value)
		if err == nil || !strings.Contains(out, r.Says) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v\n%s", r.Name, err, out)
		}
	}
}

func TestFullPageTakesFromTheDead(t *testing.T) {
	program := compile(t, need(t, "gcc", "gcc"), "-I.", "testdata/client.c")
	p := newPage(t, 3)
	// The first run leaves three activities behind, its process is gone.
	for serial := range uint32(2) {
		if out, _, err := run(program, p.File, "VIGIL_HEARTBEAT_FD=3"); err != nil {
			t.Fatalf("run %d: %v\n%s", serial, err, out)
		}
		if taken, err := p.Taken(); err != nil || len(taken) != 3 || taken[0].Serial != serial+1 {
			t.Errorf("run %d: %+v, %v", serial, taken, err)
		}
	}
}

// Rust calls the header through its symbols, as docs/heartbeat.md shows.
func TestRust(t *testing.T) {
	rustc := need(t, "rustc", "rustc")
	object := filepath.Join(t.TempDir(), "symbols.o")
	if out, err := exec.Command(need(t, "gcc", "gcc"), "-c", "-O2", "-fPIC", "-I.", "testdata/symbols.c", "-o", object).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program := compile(t, rustc, "--edition=2021", "-C", fmt.Sprintf("link-arg=%s", object), "testdata/client.rs")
	p := newPage(t, 1)
	if out, _, err := run(program, p.File, "VIGIL_HEARTBEAT_FD=3"); err != nil || out != "" {
		t.Fatalf("%v\n%s", err, out)
	}
	if taken, err := p.Taken(); err != nil || len(taken) != 1 || taken[0].Name != "rust" || taken[0].Beats != 3 || taken[0].State != wire.Busy {
		t.Errorf("%+v, %v", taken, err)
	}
}
