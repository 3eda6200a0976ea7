package storm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const module = "../.." // the root of the module, from here

// The binaries under test: as people get it, and with points where it can be
// made to end (internal/fault).
var vigilBinary, faultBinary string

// roleEnv says which part the test binary plays.
const (
	roleEnv     = "VIGIL_STORM_ROLE"
	roleInside  = "inside" // the tests, in a mount namespace of their own
	roleService = "service"
	roleSender  = "sender"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case roleService:
		os.Exit(playService(os.Args[1], os.Args[2]))
	case roleSender:
		os.Exit(playSender(os.Args[1]))
	case roleInside:
		os.Exit(run(m))
	}
	if os.Geteuid() != 0 {
		fmt.Println("skipped: only root can mount a small file system")
		os.Exit(0)
	}
	os.Exit(enter())
}

// enter runs the tests in a mount namespace, so that no mount outlives them.
func enter() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), roleEnv+"="+roleInside)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if end, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(end.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot enter a mount namespace:", err)
		return 1
	}
	return 0
}

func run(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(filepath.Dir(vigilBinary))
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func prepare() error {
	if err := os.Unsetenv(roleEnv); err != nil {
		return err
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot keep mounts to ourselves: %w", err)
	}
	// Whatever vigil leaves behind comes to us, and is found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot become a subreaper: %w", err)
	}
	dir, err := os.MkdirTemp("", "vigil-storm-bin-")
	if err != nil {
		return err
	}
	vigilBinary, faultBinary = filepath.Join(dir, "vigil"), filepath.Join(dir, "vigil-fault")
	return errors.Join(build(vigilBinary), build(faultBinary, "-tags", "vigilfault"))
}

// build makes vigil. The sources are looked at first: go test takes a
// remembered result only while all that a test has looked at is the same.
func build(binary string, flags ...string) error {
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
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.Command("go", append(args, module+"/cmd/vigil")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot build vigil: %w\n%s", err, out)
	}
	return nil
}
