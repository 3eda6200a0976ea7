package container

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

const module = "../.." // the root of the module, from here

// vigil is the path of the binary under test.
var vigil string

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == roleBox {
		fmt.Fprintln(os.Stderr, become(os.Args[2]))
		os.Exit(exitBox)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Println("skipped: only root can make a pid namespace with mounts of its own")
		return 0
	}
	dir, err := os.MkdirTemp("", "vigil-container-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a directory for vigil:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	vigil = filepath.Join(dir, "vigil")
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// build makes vigil as an image from scratch has it. The sources are looked at
// first: go test takes a remembered result only while all that a test has
// looked at is the same.
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
	cmd := exec.Command("go", "build", "-o", dir, module+"/cmd/vigil")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build vigil: %w\n%s", err, out)
	}
	return os.Chmod(dir, 0o755) // other users run it too
}
