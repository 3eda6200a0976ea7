package spawn

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// roleVar makes the test binary play a child.
const roleVar = "SPAWN_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(m.Run())
	case "report":
		report()
	case "unprivileged":
		unprivileged()
	case "sleep":
		var b [1]byte
		_, _ = os.Stdin.Read(b[:])
	}
	os.Exit(0)
}

// self is what a child says of itself.
type self struct {
	Status      map[string]string
	Descriptors map[int]string
	Args        []string
	Env         []string
	Dir         string
	SID, PID    int
	Umask       int
	Nice        int
	OOM         string
	Cgroup      string
	Files       unix.Rlimit
	Core        unix.Rlimit
}

// report writes self as JSON to descriptor 1. The descriptors are read with
// system calls of our own before the runtime's poller opens some: a directory
// read by package os needs none.
func report() {
	s := self{Args: os.Args, Env: os.Environ(), Status: map[string]string{}, Descriptors: map[int]string{}}
	for fd := 0; fd < 64; fd++ {
		if target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err == nil {
			s.Descriptors[fd] = target
		}
	}
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		s.Status[name] = strings.TrimSpace(value)
	}
	s.Dir, _ = os.Getwd()
	s.PID = os.Getpid()
	s.SID, _ = unix.Getsid(0)
	s.Umask = unix.Umask(0)
	prio, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	s.Nice = 20 - prio
	oom, _ := os.ReadFile("/proc/self/oom_score_adj")
	s.OOM = strings.TrimSpace(string(oom))
	group, _ := os.ReadFile("/proc/self/cgroup")
	s.Cgroup = string(group)
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &s.Core)
	_ = json.NewEncoder(os.Stdout).Encode(s)
}

// testBinary is this program.
func testBinary(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// openDirectory opens path with O_PATH for the duration of the test.
func openDirectory(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// script writes an executable file with the given mode.
func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// wait reaps the child through its pidfd, closes it and returns its status as
// waitid tells it: si_code and si_status.
func wait(t testing.TB, pidfd int) (code, status int) {
	t.Helper()
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Errorf("waitid: %v", err)
		}
		break
	}
	if err := unix.Close(pidfd); err != nil {
		t.Errorf("close: %v", err)
	}
	return int(info.Code), exitStatus(&info)
}

// ask starts spec as a reporting child and returns what it says.
func ask(t *testing.T, spec Spec) self {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec.Stdout = int(w.Fd())
	spec.Stderr = 2
	spec.Env = append(spec.Env, roleVar+"=report")
	pid, pidfd, err := Start(spec)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var s self
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		t.Errorf("no report: %v", err)
	}
	if code, status := wait(t, pidfd); code != 1 || status != 0 {
		t.Errorf("child ended with code %d, status %d", code, status)
	}
	if s.PID != pid {
		t.Errorf("pid %d, the child says %d", pid, s.PID)
	}
	return s
}
