package capture

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot/binaries"
)

// states returns the states of all threads of a process.
func states(t *testing.T, pid int) string {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	var b strings.Builder
	for _, f := range files {
		if st, err := readStat(f); err == nil {
			b.WriteByte(st.state)
		}
	}
	return b.String()
}

// awaitState waits until a predicate of the thread states holds.
func awaitState(t *testing.T, pid int, what string, ok func(string) bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		s := states(t, pid)
		if ok(s) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("states of %d are %q, want %s", pid, s, what)
		}
	}
}

// free checks that nothing is left of a capture.
func free(t *testing.T, pid int) {
	t.Helper()
	awaitState(t, pid, "none of T, t", func(s string) bool { return s != "" && !strings.ContainsAny(s, "Tt") })
	if tracer := statusField(pid, "TracerPid:"); tracer != "0" {
		t.Fatalf("tracer is %q", tracer)
	}
	sameText(t, pid)
}

// sameText compares the executable mappings with the executable.
func sameText(t *testing.T, pid int) {
	t.Helper()
	exe, err := os.ReadFile(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	list, _, err := readMappings(pid)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, m := range list {
		if m.path != path || m.perm[2] != 'x' || m.offset >= uint64(len(exe)) {
			continue
		}
		buf := make([]byte, m.end-m.start)
		n := readMemory(pid, m.start, buf)
		want := exe[m.offset:min(m.offset+uint64(n), uint64(len(exe)))]
		if !bytes.Equal(buf[:len(want)], want) {
			t.Fatal("the text of the target was changed")
		}
		compared += len(want)
	}
	if compared == 0 {
		t.Fatal("no text was compared")
	}
}

func mustTake(t *testing.T, pid int) (Result, string) {
	t.Helper()
	core := filepath.Join(t.TempDir(), "core")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	released := 0
	res, err := Take(ctx, Target{PID: pid}, Options{Core: core, Released: func() { released++ }})
	if err != nil {
		t.Fatal(err)
	}
	if released != 1 || !res.Core || res.Freeze.Bytes == 0 || len(res.Threads) != res.Freeze.Threads {
		t.Fatalf("released %d times, result %+v", released, res)
	}
	return res, core
}

func TestTake(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_IDLE=50"}, fixture(t))
	res, core := mustTake(t, c.pid)
	if len(res.Missing) != 0 {
		t.Errorf("missing: %v", res.Missing)
	}
	free(t, c.pid)
	c.answers(t)
	pid, tids, err := OwnerOf(core)
	if err != nil || pid != c.pid || len(tids) != res.Freeze.Threads {
		t.Fatalf("owner %d, threads %v, %v", pid, tids, err)
	}
	info, err := os.Stat(core)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("core: %v, %v", info.Mode(), err)
	}
	// Sparse: pages that are not present are holes.
	if disk := info.Sys().(*syscall.Stat_t).Blocks * 512; disk > res.Freeze.Bytes*2+1<<20 {
		t.Errorf("%d bytes on disk for %d bytes of memory", disk, res.Freeze.Bytes)
	}
	if left, _ := filepath.Glob(core + ".tmp"); len(left) != 0 {
		t.Error("the temporary core is left")
	}
}

func TestTakeIsReadByGDB(t *testing.T) {
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("gdb is not installed: whether it opens the core is not tested here")
	}
	c := run(t, "ready", nil, fixture(t))
	res, core := mustTake(t, c.pid)
	out, err := exec.Command(gdb, "-nx", "-batch", "-ex", "info threads", "-ex", "thread apply all bt 3", fixture(t), core).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("runtime.")) {
		t.Fatalf("%v: %s", err, out)
	}
	if n := bytes.Count(out, []byte("LWP ")); n < res.Freeze.Threads {
		t.Errorf("gdb sees %d threads of %d", n, res.Freeze.Threads)
	}
}

func TestTakeManyThreads(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_THREADS=200"}, fixture(t))
	res, _ := mustTake(t, c.pid)
	if res.Freeze.Threads < 200 {
		t.Errorf("%d threads", res.Freeze.Threads)
	}
	free(t, c.pid)
	c.answers(t)
}

func TestTakeLeavesAStoppedTargetStopped(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	if err := unix.Kill(c.pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := func(s string) bool { return s != "" && strings.Trim(s, "T") == "" }
	awaitState(t, c.pid, "all T", stopped)
	mustTake(t, c.pid)
	awaitState(t, c.pid, "all T", stopped)
	if err := unix.Kill(c.pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	free(t, c.pid)
	c.answers(t)
}

func TestTakeRefusals(t *testing.T) {
	t.Run("traced", func(t *testing.T) {
		c := run(t, "ready", nil, fixture(t))
		tracer := run(t, "up", []string{roleEnv + "=tracer", fmt.Sprintf("CAPTURE_TEST_PID=%d", c.pid)}, os.Args[0])
		_, err := Take(t.Context(), Target{PID: c.pid}, Options{})
		if !errors.Is(err, ErrTraced) || !strings.Contains(err.Error(), "tracer is pid") {
			t.Errorf("error %v", err)
		}
		tracer.kill()
		free(t, c.pid)
		c.answers(t)
	})
	t.Run("gone", func(t *testing.T) {
		c := run(t, "ready", nil, fixture(t))
		fd, err := unix.PidfdOpen(c.pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		c.kill()
		for _, target := range []Target{{PID: c.pid}, {PID: c.pid, PIDFD: fd}} {
			if _, err := Take(t.Context(), target, Options{}); !errors.Is(err, ErrGone) {
				t.Errorf("error %v", err)
			}
		}
	})
	t.Run("zombie", func(t *testing.T) {
		c := run(t, "ready", nil, fixture(t))
		_ = c.cmd.Process.Kill()
		awaitState(t, c.pid, "Z", func(s string) bool { return s == "Z" })
		if _, err := Take(t.Context(), Target{PID: c.pid}, Options{}); !errors.Is(err, ErrGone) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("reused", func(t *testing.T) {
		c := run(t, "ready", nil, fixture(t))
		if _, err := Take(t.Context(), Target{PID: c.pid, StartTicks: 1}, Options{}); !errors.Is(err, ErrReused) {
			t.Errorf("error %v", err)
		}
		free(t, c.pid)
	})
	t.Run("ourselves", func(t *testing.T) {
		if _, err := Take(t.Context(), Target{PID: os.Getpid()}, Options{}); !errors.Is(err, ErrDenied) {
			t.Errorf("error %v", err)
		}
	})
}

func TestTakeWithinItsBudget(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_IDLE=2000"}, fixture(t))
	for _, budget := range []time.Duration{1, 50 * time.Microsecond, 500 * time.Microsecond, 2 * time.Millisecond, 5 * time.Millisecond} {
		core := filepath.Join(t.TempDir(), "core")
		ctx, cancel := context.WithTimeout(t.Context(), budget)
		res, err := Take(ctx, Target{PID: c.pid}, Options{Core: core})
		cancel()
		if err != nil && !Late(err) {
			t.Errorf("budget %v: %v", budget, err)
		}
		if _, statErr := os.Stat(core); (statErr == nil) != res.Core {
			t.Errorf("budget %v: core is there: %v, result %+v", budget, statErr == nil, res)
		}
		free(t, c.pid)
	}
	c.answers(t)
}

func TestTakeWithinItsBytes(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	core := filepath.Join(t.TempDir(), "core")
	res, err := Take(t.Context(), Target{PID: c.pid}, Options{Core: core, MaxBytes: 8192})
	if err != nil || !res.Core || len(res.Missing) != 1 || !strings.Contains(res.Missing[0], "limited to 8192 bytes") {
		t.Fatalf("%+v, %v", res, err)
	}
	if file, err := elf.Open(core); err != nil || file.Type != elf.ET_CORE {
		t.Fatalf("partial core: %v", err)
	}
	free(t, c.pid)
}

func TestTakeLosesNoSignal(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_IDLE=200"}, fixture(t))
	const signals = 300
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		captures := 0
		defer func() { done <- captures }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := Take(context.Background(), Target{PID: c.pid}, Options{}); err != nil {
				t.Error(err)
				return
			}
			captures++
		}
	}()
	for i := 1; i <= signals; i++ {
		if err := unix.Kill(c.pid, unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		// Ordinary signals merge; so the next goes out when this one was counted.
		c.expect(t, fmt.Sprintf("usr1 %d", i))
	}
	close(stop)
	t.Logf("%d captures", <-done)
}

// kills is how often a helper is killed at any moment: 200 in a soak.
func kills() int {
	if os.Getenv("VIGIL_SOAK") != "" {
		return 200
	}
	return 40
}

// unharmed checks that nothing is left of a helper that was killed: no twin, no
// thread with all signals blocked.
func unharmed(t *testing.T, pid int) {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "no twin", func() error {
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		if err != nil {
			return err
		}
		for _, link := range links {
			own, err := os.Readlink(link)
			if err == nil && own == exe && link != fmt.Sprintf("/proc/%d/exe", pid) {
				return fmt.Errorf("%s is %s", link, exe)
			}
		}
		return nil
	})
	tids, err := threadIDs(pid)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "no thread with all signals blocked", func() error {
		for _, tid := range tids {
			if mask := statusField(tid, "SigBlk:"); mask == "fffffffffffbfeff" {
				return fmt.Errorf("thread %d of %v", tid, tids)
			}
		}
		return nil
	})
}

func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

func TestKilledHelperFreesTheTarget(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_IDLE=500"}, fixture(t))
	core := filepath.Join(t.TempDir(), "core")
	for i := range kills() {
		helper := run(t, "up", []string{roleEnv + "=capture", fmt.Sprintf("CAPTURE_TEST_PID=%d", c.pid), "CAPTURE_TEST_CORE=" + core}, os.Args[0])
		// Not synchronisation: the moment of death shall be any.
		<-time.After(time.Duration(rand.IntN(12_000)) * time.Microsecond)
		helper.kill()
		free(t, c.pid)
		unharmed(t, c.pid)
		c.answers(t)
		if err := syscall.Kill(c.pid, unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		c.expect(t, fmt.Sprintf("usr1 %d", i+1))
	}
}

// TestTwin: the target runs on, or dies, while its twin is read; the twin holds
// nothing that the next instance needs.
func TestTwin(t *testing.T) {
	c := run(t, "ready", []string{"TARGET_IDLE=500", "TARGET_THREADS=20"}, fixture(t))
	core := filepath.Join(t.TempDir(), "core")
	twins := 0
	res, err := Take(t.Context(), Target{PID: c.pid}, Options{
		Core: core,
		Twin: func(pid int) {
			if twins = pid; pid == c.pid || statusField(pid, "State:") == "" {
				t.Errorf("the twin is %d", pid)
			}
		},
		Released: func() {
			entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", twins))
			if err != nil || len(entries) > 0 {
				t.Errorf("the twin has %d descriptors: %v", len(entries), err)
			}
			c.kill() // it is dead before its copy begins
		},
	})
	if err != nil || res.Freeze.Method != "twin" || !res.Core || len(res.Missing) > 0 || len(res.Freeze.Refused) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, tids, err := OwnerOf(core); err != nil || len(tids) != res.Freeze.Threads {
		t.Errorf("%d threads in the core, %d were frozen: %v", len(tids), res.Freeze.Threads, err)
	}
	// The heads of files are in it, which debuggers know them by.
	want, err := binaries.Identify(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := binaries.OfCore(core); err != nil || got != want {
		t.Errorf("the core is of executable %q, %v; want %q", got, err, want)
	}
	if statusField(twins, "State:") != "" && !strings.HasPrefix(statusField(twins, "State:"), "Z") {
		t.Error("the twin lives")
	}
}

// TestTakeWithoutTwin: the next rung, and why.
func TestTakeWithoutTwin(t *testing.T) {
	c := run(t, "ready", nil, fixture(t))
	res, err := Take(t.Context(), Target{PID: c.pid}, Options{Core: filepath.Join(t.TempDir(), "core"), NoTwin: true})
	if err != nil || res.Freeze.Method != "copy" || len(res.Freeze.Refused) != 1 || res.Freeze.Refused[0].Rung != "twin" {
		t.Errorf("%+v, %v", res, err)
	}
	free(t, c.pid)
	c.answers(t)
}
