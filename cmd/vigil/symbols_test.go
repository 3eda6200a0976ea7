package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeadCodeIsDropped guards the size of the binary: a single reachable call
// of reflect.Value.MethodByName makes the linker keep every exported method
// (html/template does it; text/template only when it is executed).
func TestDeadCodeIsDropped(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	binary := filepath.Join(t.TempDir(), "vigil")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for line := range strings.Lines(string(symbols)) {
		seen = seen || strings.Contains(line, "main.main")
		if strings.Contains(line, "reflect.Value.MethodByName") {
			t.Errorf("linked: %s", line)
		}
	}
	if !seen {
		t.Error("nm shows no main.main: this test sees nothing")
	}
}
