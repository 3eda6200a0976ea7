// Package c has the header for C and C++; its tests compile and run it.
package c

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// compile returns the path of what a compiler makes.
func compile(t *testing.T, compiler string, arguments ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command(compiler, append(arguments, "-o", program)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return program
}

func TestEveryStandard(t *testing.T) {
	clienttest.Sources(t, ".")
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
				compiler := clienttest.Need(t, tt.compiler, tt.debian)
				program := compile(t, compiler, "-std="+standard, "-x", tt.language, "-O2", "-pthread",
					"-Wall", "-Wextra", "-Wshadow", "-Wredundant-decls", "-pedantic", "-Werror", "-I.", "testdata/client.c")
				clienttest.Client{program}.Check(t, true)
			})
		}
	}
}

// Rust calls the header through its symbols, as docs/heartbeat.md shows.
func TestRust(t *testing.T) {
	clienttest.Sources(t, ".")
	rustc := clienttest.Need(t, "rustc", "rustc")
	object := compile(t, clienttest.Need(t, "gcc", "gcc"), "-c", "-O2", "-fPIC", "-I.", "testdata/symbols.c")
	program := compile(t, rustc, "--edition=2021", "-C", "link-arg="+object, "testdata/client.rs")
	p := clienttest.NewPage(t, 1)
	cmd := exec.Command(program)
	cmd.Env = []string{wire.HeartbeatFD + "=3"}
	cmd.ExtraFiles = append(cmd.ExtraFiles, p.File)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	if taken, err := p.Taken(); err != nil || len(taken) != 1 || taken[0].Name != "rust" || taken[0].Beats != 3 || taken[0].State != wire.Busy {
		t.Errorf("%+v, %v", taken, err)
	}
}
