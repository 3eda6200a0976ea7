package spawn

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/spawn/nofile"
)

func exitStatus(info *unix.Siginfo) int {
	// si_status is the sixth int of the CHLD layout: signo, errno, code, pad,
	// pid, uid, status on 64 bit.
	return int((*[32]int32)(unsafe.Pointer(info))[6])
}

func TestFrameLayout(t *testing.T) {
	var f frame
	var e entry
	got := []uintptr{
		unsafe.Offsetof(f.script), unsafe.Offsetof(f.clone), unsafe.Offsetof(f.args), unsafe.Offsetof(f.block),
		unsafe.Offsetof(f.saved), unsafe.Offsetof(f.pid), unsafe.Offsetof(f.step), unsafe.Offsetof(f.errno),
		unsafe.Offsetof(e.nr), unsafe.Offsetof(e.args), unsafe.Offsetof(e.tolerate), unsafe.Offsetof(e.store), entrySize,
	}
	want := []uintptr{0, 8, 16, 56, 64, 72, 80, 88, 0, 8, 56, 64, 72}
	if !slices.Equal(got, want) {
		t.Errorf("offsets %v, the assembly wants %v", got, want)
	}
}

func TestStageTexts(t *testing.T) {
	seen := map[string]bool{}
	for s := Stage(0); s < stageCount; s++ {
		if s.String() == "" || s.cannot() == "" || seen[s.String()] {
			t.Errorf("stage %d has name %q and text %q", int(s), s, s.cannot())
		}
		seen[s.String()] = true
	}
	if got := Stage(99).String(); got != "stage-99" {
		t.Error(got)
	}
}

// TestPlainChild checks what a child of a parent with ignored and blocked
// signals and with open descriptors gets when nothing is asked for.
// TestBounding: root runs what is started, and cannot do more than was left to it.
func TestBounding(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has capabilities to drop: run this test as root")
	}
	keep := uint64(1<<unix.CAP_KILL | 1<<unix.CAP_SYS_PTRACE)
	spec := New(testBinary(t))
	spec.Bounding = &keep
	s := ask(t, spec)
	for _, name := range []string{"CapBnd", "CapPrm", "CapEff"} {
		if s.Status[name] != "0000000000080020" {
			t.Errorf("%s is %q", name, s.Status[name])
		}
	}
}

func TestPlainChild(t *testing.T) {
	signal.Ignore(unix.SIGHUP)
	defer signal.Reset(unix.SIGHUP)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	block := unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGUSR1 - 1)}}
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before); err != nil {
		t.Fatal(err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	leak, err := unix.Open("/dev/zero", unix.O_RDONLY, 0) // not close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)

	spec := New(testBinary(t), "one", "")
	spec.Env = []string{"WITH=@pid@", "LISTEN_PID=@pid@"}
	spec.PIDMark = "@pid@"
	s := ask(t, spec)
	for _, name := range []string{"SigBlk", "SigIgn"} {
		if strings.Trim(s.Status[name], "0") != "" {
			t.Errorf("%s is %s", name, s.Status[name])
		}
	}
	if !slices.Equal(s.Args, []string{testBinary(t), "one", ""}) {
		t.Errorf("args %q", s.Args)
	}
	pid := itoa(s.PID)
	if !slices.Equal(s.Env, []string{"WITH=" + pid, "LISTEN_PID=" + pid, roleVar + "=report"}) {
		t.Errorf("environment %q", s.Env)
	}
	for fd, target := range s.Descriptors {
		if target == "/dev/zero" {
			t.Errorf("descriptor %d leaked: %s", fd, target)
		}
	}
	if s.Descriptors[0] != "/dev/null" {
		t.Errorf("stdin is %s", s.Descriptors[0])
	}
	if sid, _ := unix.Getsid(0); s.SID != sid {
		t.Errorf("session %d, want ours, %d", s.SID, sid)
	}
	var now unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &now); err != nil || now.Val[0]&block.Val[0] == 0 {
		t.Errorf("the caller's mask is not restored: %v, %v", now, err)
	}
}

// say runs a plain program, without a runtime that opens descriptors and
// catches signals, and returns what it prints.
func say(t *testing.T, spec Spec) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec.Stdout = int(w.Fd())
	_, pidfd, err := Start(spec)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(io.LimitReader(r, 1<<16))
	if err != nil {
		t.Error(err)
	}
	wait(t, pidfd)
	return string(out)
}

func TestSignalsOfPlainProgram(t *testing.T) {
	signal.Ignore(unix.SIGHUP)
	defer signal.Reset(unix.SIGHUP)
	status := say(t, New("/bin/cat", "/proc/self/status"))
	for _, name := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		if !strings.Contains(status, name+":\t0000000000000000\n") {
			t.Errorf("%s is not empty:\n%s", name, status)
		}
	}
}

// TestDescriptorsOfPlainProgram: ls opens the directory that it lists, as the
// lowest free number.
func TestDescriptorsOfPlainProgram(t *testing.T) {
	leak, err := unix.Open("/dev/zero", unix.O_RDONLY, 0) // not close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	spec := New("/bin/ls", "/proc/self/fd")
	if got := say(t, spec); got != "0\n1\n2\n3\n" {
		t.Errorf("descriptors %q", got)
	}
	spec.Extra = []int{leak, 0}
	if got := say(t, spec); got != "0\n1\n2\n3\n4\n5\n" {
		t.Errorf("with two more: %q", got)
	}
}

func itoa(n int) string { return strings.TrimSpace(string(appendInt(nil, n))) }

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

func TestEverything(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: changes credentials and lowers nice")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// os/exec with a Credential, in another test, leaves us undumpable.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	nice, oom := -5, 170
	spec := New(testBinary(t))
	spec.Dir = "/"
	spec.Setsid = true
	spec.Credential = &Credential{UID: 65534, GID: 65533, Groups: []uint32{7, 9}}
	spec.Umask = 0o027
	spec.Nice = &nice
	spec.OOMScoreAdj = &oom
	spec.NoNewPrivs = true
	spec.Rlimits = []Rlimit{{unix.RLIMIT_CORE, 4096, 8192}}
	// Numbers that overlap with their targets, in both directions.
	spec.Extra = []int{1, 0, 2}
	// The test binary may lie below a directory that nobody else may enter, so
	// it is run through a descriptor.
	program, err := unix.Open(testBinary(t), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(program)
	spec.Extra = append(spec.Extra, program)
	spec.Path = "/proc/self/fd/6"
	ours, _ := os.ReadFile("/proc/self/oom_score_adj")
	s := ask(t, spec)

	for name, want := range map[string]string{
		"Uid": "65534\t65534\t65534\t65534", "Gid": "65533\t65533\t65533\t65533", "Groups": "7 9",
		"NoNewPrivs": "1", "SigBlk": "0000000000000000", "CapEff": "0000000000000000",
	} {
		if s.Status[name] != want {
			t.Errorf("%s is %q, want %q", name, s.Status[name], want)
		}
	}
	if s.SID != s.PID || s.Umask != 0o027 || s.Nice != nice || s.OOM != "170" || s.Dir != "/" {
		t.Errorf("%+v", s)
	}
	if s.Core != (unix.Rlimit{Cur: 4096, Max: 8192}) {
		t.Errorf("RLIMIT_CORE %+v", s.Core)
	}
	for i, fd := range []int{1, 0, 2} {
		want, _ := os.Readlink("/proc/self/fd/" + itoa(fd))
		if got := s.Descriptors[3+i]; got != want {
			t.Errorf("descriptor %d is %s, want %s", 3+i, got, want)
		}
	}
	if now, _ := os.ReadFile("/proc/self/oom_score_adj"); string(now) != string(ours) {
		t.Errorf("our own oom_score_adj changed from %s to %s", ours, now)
	}
	if d, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || d != 1 {
		t.Errorf("we are no longer dumpable: %d, %v", d, err)
	}
}

// TestOpenFilesLimit starts a shell, because a Go child raises its own limit.
func TestOpenFilesLimit(t *testing.T) {
	soft, hard, ok := nofile.Inherited()
	if !ok {
		t.Fatal("the limit at the start is unknown")
	}
	for _, c := range []struct {
		set  []Rlimit
		want string
	}{
		{nil, itoa(int(soft)) + "\n"},
		{[]Rlimit{{unix.RLIMIT_NOFILE, 4, hard}}, "4\n"},
	} {
		spec := New("/bin/sh", "-c", "ulimit -n")
		spec.Rlimits = c.set
		if got := say(t, spec); got != c.want {
			t.Errorf("%v: ulimit -n says %q, want %q", c.set, got, c.want)
		}
	}
}

// TestMany starts 2,000 children from 4 goroutines while the collector runs
// and stacks move.
func TestMany(t *testing.T) {
	const goroutines, each = 4, 500
	stop := make(chan struct{})
	var collector, starters sync.WaitGroup
	collector.Add(1)
	go func() {
		defer collector.Done()
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for range goroutines {
		starters.Add(1)
		go func() {
			defer starters.Done()
			for i := range each {
				deep(i % 200)
				oneOfMany(t, i)
			}
		}()
	}
	starters.Wait()
	close(stop)
	collector.Wait()
}

// oneOfMany starts a child that succeeds, or fails with a missing program or
// directory.
func oneOfMany(t *testing.T, i int) {
	spec := New("/bin/true")
	spec.Env = []string{"PID=@"}
	spec.PIDMark = "@"
	switch i % 5 {
	case 3:
		spec.Path = "/nonexistent"
	case 4:
		spec.Dir = "/nonexistent"
	}
	_, pidfd, err := Start(spec)
	var e *Error
	switch {
	case i%5 < 3 && err != nil:
		t.Error(err)
	case i%5 < 3:
		if code, status := wait(t, pidfd); code != 1 || status != 0 {
			t.Errorf("code %d, status %d", code, status)
		}
	case !errors.As(err, &e) || e.Errno != syscall.ENOENT:
		t.Errorf("error %v", err)
	}
}

// deep makes the stack grow.
func deep(n int) int {
	var pad [512]byte
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1) + int(pad[n])
}
