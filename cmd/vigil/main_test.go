package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary play vigil, and the services that it keeps,
// when it is run under their names. The keeper starts its supervisor from
// /proc/self/exe, so the name of the file counts and not argv[0].
func TestMain(m *testing.M) {
	if exe, err := os.Executable(); err == nil && filepath.Base(exe) == "vigil" {
		os.Args[0] = exe
	}
	testscript.Main(m, map[string]func(){
		"vigil":   main,
		"service": playService,
		"fake":    playFake,
	})
}
