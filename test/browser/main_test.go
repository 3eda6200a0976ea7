package browser

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const module = "../.." // the root of the module, from here

// binaries is where vigil and the services are built.
var binaries string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vigil-browser-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a directory for vigil:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	if err := os.Chmod(dir, 0o755); err != nil { // for ZooKeeper's user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv("PATH", dir+":"+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, "cannot set PATH:", err)
		return 1
	}
	defer theHouse.end()
	return m.Run()
}

// build makes the binaries. The sources are looked at first: go test takes a
// remembered result only while all that a test has looked at is the same.
func build(dir string) error {
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // another test's files come and go
		}
		if name := d.Name(); path != module && (name[0] == '.' || name == "bin") {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot look at the sources: %w", err)
	}
	out, err := exec.Command("go", "build", "-o", dir, module+"/cmd/vigil", module+"/cmd/vigil-capture", module+"/examples/wedge").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot build vigil: %w\n%s", err, out)
	}
	return nil
}

// eventually asks until there is no error any more, at most for that long.
func eventually(t *testing.T, most time.Duration, what string, ask func() error) {
	t.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("waited %s in vain for %s: %v", most, what, err)
		case <-tick.C:
		}
	}
}
