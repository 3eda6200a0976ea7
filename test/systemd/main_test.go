package systemd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The test binary is four things, by VIGIL_TEST_ROLE: what `go test` starts,
// which only makes namespaces for the rig, which boots a systemd, in
// which the tests run, one of whose units starts the service.
func TestMain(m *testing.M) {
	runtime.LockOSThread() // Pdeathsig is that of the thread
	switch role := os.Getenv("VIGIL_TEST_ROLE"); role {
	case "":
		os.Exit(outside())
	case "rig":
		os.Exit(rig())
	case "inside":
		os.Exit(m.Run())
	case "service":
		os.Exit(service())
	default:
		fmt.Fprintf(os.Stderr, "no such role: %q\n", role)
		os.Exit(2)
	}
}

func outside() int {
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	root := systemRoot()
	if err := cannot(root); err != nil {
		fmt.Fprintln(os.Stderr, "skipped:", err)
		return 0
	}
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Env = append(os.Environ(), "VIGIL_TEST_ROLE=rig")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	return exitCode(cmd.Run())
}

func systemRoot() string {
	if root := os.Getenv(rootVariable); root != "" {
		return root
	}
	return "/"
}

func exitCode(err error) int {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func rig() int {
	files, err := os.MkdirTemp("", "vigil-systemd-stage-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(files)
	if err := fill(files); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := boot(systemRoot(), files)
	if errors.Is(err, errCannot) {
		fmt.Fprintln(os.Stderr, "skipped:", err)
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.end()
	args := []string{stage + "/test"}
	for _, a := range os.Args[1:] {
		// Paths of outside mean nothing inside.
		if !strings.HasPrefix(a, "-test.testlogfile") && !strings.HasPrefix(a, "-test.coverprofile") {
			args = append(args, a)
		}
	}
	cmd := c.command([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "VIGIL_TEST_ROLE=inside"}, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return exitCode(cmd.Run())
}

// fill collects what the tests need inside.
func fill(dir string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	for from, to := range map[string]string{
		exe:                                      "test",
		"../../packaging/systemd/vigil.service":  "vigil.service",
		"../../packaging/systemd/vigil@.service": "vigil@.service",
	} {
		if err := copyFile(from, filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	return build(filepath.Join(dir, "vigil"))
}

// build makes vigil as a package has it. The sources are looked at first: go
// test takes a remembered result only while all that a test has looked at is
// the same.
func build(path string) error {
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
	cmd := exec.Command("go", "build", "-o", path, module+"/cmd/vigil")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build vigil: %w\n%s", err, out)
	}
	return nil
}

const module = "../.." // the root of the module, from here

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
