package spawn

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fails starts spec and checks where it fails, and that nothing is left.
func fails(t *testing.T, spec Spec, stage Stage, errno syscall.Errno) *Error {
	t.Helper()
	pid, pidfd, err := Start(spec)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (pid %d), want stage %s", err, pid, stage)
	}
	if e.Stage != stage || e.Errno != errno || pid != 0 || pidfd != -1 {
		t.Errorf("stage %s, errno %v, pid %d, pidfd %d; want %s, %v", e.Stage, e.Errno, pid, pidfd, stage, errno)
	}
	if e.PID != 0 {
		if err := unix.Kill(e.PID, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("the failed child %d is still there: %v", e.PID, err)
		}
	}
	return e
}

func TestFailures(t *testing.T) {
	big, low := 4096, -1001
	closed := t.TempDir()
	for _, c := range []struct {
		name  string
		alter func(*Spec)
		stage Stage
		errno syscall.Errno
	}{
		{"no slash", func(s *Spec) { s.Path = "true" }, StagePrepare, unix.EINVAL},
		{"NUL", func(s *Spec) { s.Args = []string{"a\x00b"} }, StagePrepare, unix.EINVAL},
		{"mark inside", func(s *Spec) { s.PIDMark = "@"; s.Env = []string{"A=@b"} }, StagePrepare, unix.EINVAL},
		{"bad descriptor", func(s *Spec) { s.Extra = []int{-1} }, StagePrepare, unix.EBADF},
		{"closed stdout", func(s *Spec) { s.Stdout = 9999 }, StageStdio, unix.EBADF},
		{"closed extra", func(s *Spec) { s.Extra = []int{9999} }, StageExtra, unix.EBADF},
		{"not a cgroup", func(s *Spec) { s.Cgroup = openDirectory(t, closed) }, StageCgroup, unix.EBADF},
		{"rlimit", func(s *Spec) { s.Rlimits = []Rlimit{{unix.RLIMIT_CORE, 2, 1}} }, StageRlimit, unix.EINVAL},
		{"rlimit number", func(s *Spec) { s.Rlimits = []Rlimit{{big, 2, 1}} }, StageRlimit, unix.EINVAL},
		{"oom", func(s *Spec) { s.OOMScoreAdj = &low }, StageOOM, unix.EINVAL},
		{"directory", func(s *Spec) { s.Dir = "/nonexistent" }, StageChdir, unix.ENOENT},
		{"directory is a file", func(s *Spec) { s.Dir = "/bin/true" }, StageChdir, unix.ENOTDIR},
		{"program", func(s *Spec) { s.Path = "/nonexistent" }, StageExec, unix.ENOENT},
		{"interpreter", func(s *Spec) { s.Path = file(t, "#!/nonexistent\n", 0o755) }, StageExec, unix.ENOENT},
		{"no interpreter", func(s *Spec) { s.Path = file(t, "echo\n", 0o755) }, StageExec, unix.ENOEXEC},
		{"not executable", func(s *Spec) { s.Path = file(t, "#!/bin/sh\n", 0o644) }, StageExec, unix.EACCES},
		{"a directory", func(s *Spec) { s.Path = closed + "/" }, StageExec, unix.EACCES},
		{"long argument", func(s *Spec) { s.Args = []string{strings.Repeat("x", 200<<10)} }, StageExec, unix.E2BIG},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := New("/bin/true")
			c.alter(&spec)
			e := fails(t, spec, c.stage, c.errno)
			t.Log(e)
		})
	}
}

func TestTextFileBusy(t *testing.T) {
	path := file(t, "\x7fELF", 0o755)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec := New(path)
	e := fails(t, spec, StageExec, unix.ETXTBSY)
	want := "cannot execute " + path + ": text file busy (somebody has the file open for writing)"
	if e.Error() != want {
		t.Errorf("%q, want %q", e, want)
	}
}

// TestUnprivileged runs the failures of an unprivileged caller in a copy of
// this program with another uid.
func TestUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: becomes user 65534")
	}
	program, err := os.Open(testBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env = []string{roleVar + "=unprivileged", "CLOSED=" + t.TempDir()}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	want := `uid: EPERM groups
gid: EPERM groups
chdir: EACCES chdir
nice: EACCES nice
oom: EACCES oom-score-adj
rlimit: EPERM rlimit
`
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// unprivileged prints where starts fail for this user.
func unprivileged() {
	nice, oom := -10, -500
	for _, c := range []struct {
		name  string
		alter func(*Spec)
	}{
		{"uid", func(s *Spec) { s.Credential = &Credential{UID: 0, GID: 65534} }},
		{"gid", func(s *Spec) { s.Credential = &Credential{UID: 65534, GID: 0} }},
		{"chdir", func(s *Spec) { s.Dir = os.Getenv("CLOSED") }},
		{"nice", func(s *Spec) { s.Nice = &nice }},
		{"oom", func(s *Spec) { s.OOMScoreAdj = &oom }},
		{"rlimit", func(s *Spec) { s.Rlimits = []Rlimit{{unix.RLIMIT_RTPRIO, 50, 50}} }},
	} {
		spec := New("/bin/true")
		c.alter(&spec)
		_, _, err := Start(spec)
		var e *Error
		if !errors.As(err, &e) {
			os.Stdout.WriteString(c.name + ": no error\n")
			continue
		}
		os.Stdout.WriteString(c.name + ": " + unix.ErrnoName(e.Errno) + " " + e.Stage.String() + "\n")
	}
}

// TestLimit blocks the child in execve: opening a FIFO as a program is refused,
// so the child is made to wait for a reader in the one step that can open a
// file, and is killed there.
func TestLimit(t *testing.T) {
	l := stuck(t)
	began := time.Now()
	e := l.launch()
	if e == nil || e.Errno != unix.ETIMEDOUT || e.Stage != StageOOM {
		t.Fatalf("error %v after %v", e, time.Since(began))
	}
	if err := unix.Kill(e.PID, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the child %d is still there: %v", e.PID, err)
	}
}

// stuck prepares a child whose oom_score_adj is a FIFO that nobody reads.
func stuck(t *testing.T) *launch {
	t.Helper()
	fifo := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := New("/bin/true")
	spec.OOMScoreAdj = new(int)
	spec.Limit = 50 * time.Millisecond
	return prepared(t, &spec, func(l *launch) {
		for i, m := range l.script.marks {
			if m.stage == StageOOM {
				l.script.entries[i].args[1] = l.arena.text(fifo, 0)
				return
			}
		}
	})
}

// prepared returns a launch that alter has tampered with.
func prepared(t *testing.T, spec *Spec, alter func(*launch)) *launch {
	t.Helper()
	d, err := openDescriptors(spec)
	t.Cleanup(d.close)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newArena(arenaSize(spec))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.free)
	l := newLaunch(a, spec, d)
	alter(l)
	return l
}

// TestKilledBeforeExec: a child that dies without an errno is not a success,
// not even when execve is the step it was at.
func TestKilledBeforeExec(t *testing.T) {
	spec := New("/bin/true")
	l := prepared(t, &spec, func(l *launch) {
		last := &l.script.entries[len(l.script.marks)-1]
		last.nr, last.args[0] = unix.SYS_EXIT_GROUP, 0
	})
	e := l.launch()
	if e == nil || e.Errno != 0 || e.Stage != StageExec || !strings.Contains(e.Error(), "the child was killed") {
		t.Errorf("error %v", e)
	}
}

// TestForeignReaper: a reaper of all children never sees one that failed.
func TestForeignReaper(t *testing.T) {
	spec := New("/nonexistent")
	l := prepared(t, &spec, func(*launch) {})
	if errno := l.clone3(); errno != 0 {
		t.Fatal(errno)
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, l.frame.pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if !errors.Is(err, unix.ECHILD) {
		t.Errorf("waitid finds the child: %v, %+v", err, info)
	}
	if e := l.outcome(); e == nil || e.Errno != unix.ENOENT {
		t.Errorf("error %v", e)
	}
}
