package gimli

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// bin holds the programs: vigil, its helper, and the service.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if _, err := exec.LookPath("gcc"); err != nil {
		fmt.Fprintln(os.Stderr, "no gcc (Debian: gcc): a program of libgimli cannot be built, nothing is tested")
		return 0
	}
	var err error
	if bin, err = os.MkdirTemp("", "vigil-gimli-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	for _, c := range [][]string{
		{"go", "build", "-o", filepath.Join(bin, "vigil"), "../../cmd/vigil"},
		{"go", "build", "-o", filepath.Join(bin, "vigil-capture"), "../../cmd/vigil-capture"},
		{"gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", filepath.Join(bin, "app"), "testdata/app.c"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build: %v: %v\n%s", c, err, out)
			return 1
		}
	}
	// What a killed keeper leaves comes to us, and so do the signals that a program
	// of libgimli sends to its parent.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "cannot become a subreaper:", err)
		return 1
	}
	signal.Ignore(unix.SIGUSR1, unix.SIGUSR2)
	return m.Run()
}
