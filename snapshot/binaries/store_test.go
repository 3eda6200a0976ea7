package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary begin to write into a store and stop there; or,
// with "crash", end with a core.
const roleEnv = "BINARIES_TEST_ROLE"

func TestMain(m *testing.M) {
	switch dir := os.Getenv(roleEnv); dir {
	case "":
		goleak.VerifyTestMain(m)
	case "crash":
		panic("on purpose")
	default:
		s := New(dir, Limits{})
		if err := s.locked(context.Background(), func() error { _, err := s.temporary(); return err }); err != nil {
			fmt.Println(err)
		}
		fmt.Println("writing")
		_, _ = io.ReadAll(os.Stdin)
	}
}

// program writes a file with an id of its own: that of its contents.
func program(t *testing.T, name, tail string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, append(bytes.Repeat([]byte("binary "), 1000), tail...), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// sleeper starts a copy of sleep(1) from a path of its own.
func sleeper(t *testing.T) (path string, cmd *exec.Cmd) {
	t.Helper()
	data, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Skip("there is no /bin/sleep to copy")
	}
	path = filepath.Join(t.TempDir(), "sleeper")
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(path, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
	return path, cmd
}

func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestReplaced: what was kept at the start is there after both ways to install a
// new version.
func TestReplaced(t *testing.T) {
	for _, way := range []string{"mv", "cp"} {
		t.Run(way, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "binaries")
			path, cmd := sleeper(t)
			before, _ := os.ReadFile(path)
			if err := Keep(dir, cmd.Process.Pid, path); err != nil {
				t.Fatal(err)
			}
			id, err := Identify(path)
			if err != nil {
				t.Fatal(err)
			}
			if way == "cp" {
				end(cmd) // nobody can write into a program that runs
			}
			run(t, way, program(t, "new", "version 2"), path)
			kept, err := New(dir, Limits{}).Find(id)
			if err != nil {
				t.Fatal(err)
			}
			if after, _ := os.ReadFile(kept); !bytes.Equal(before, after) {
				t.Error("what was kept is another file")
			}
			if now, _ := Identify(path); now == id {
				t.Error("the new version has the id of the old one")
			}
			if info, err := os.Stat(kept); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("mode of the directory %v, %v", info.Mode(), err)
			}
		})
	}
}

// TestLink: a file too large to copy is linked; when somebody writes into it, it
// is not taken for what it was.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "large")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 5000), 0o700); err != nil {
		t.Fatal(err)
	}
	s := New(filepath.Join(dir, "store"), Limits{MaxCopy: 1000})
	id, err := s.Keep(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := s.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := os.Stat(path)
	b, _ := os.Stat(kept)
	if !os.SameFile(a, b) {
		t.Error("it is not linked")
	}
	if _, err := s.Keep(t.Context(), path); err != nil {
		t.Error(err)
	}
	run(t, "cp", program(t, "new", "version 2"), path)
	if _, err := s.Find(id); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "another build now") {
		t.Errorf("after cp: %v", err)
	}
}

// TestGone: the process can be dead, and the path not there, before Keep runs.
func TestGone(t *testing.T) {
	dir := t.TempDir()
	path, cmd := sleeper(t)
	pid := cmd.Process.Pid
	end(cmd)
	if err := Keep(dir, pid, ""); err == nil {
		t.Error("a process that is gone was kept")
	}
	if err := Keep(dir, pid, path); err == nil {
		t.Error("its use was noted")
	}
	id, _ := Identify(path)
	if _, err := New(dir, Limits{}).Find(id); err != nil {
		t.Error(err) // its file is kept all the same
	}
	if err := Keep(dir, pid, filepath.Join(dir, "none")); err == nil {
		t.Error("nothing was kept")
	}
	if _, err := New(dir, Limits{}).Keep(t.Context(), dir); err == nil {
		t.Error("a directory was kept")
	}
	if _, err := New(dir, Limits{}).Find("gnu-../../etc/passwd"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a path was taken for an id: %v", err)
	}
}

// TestQuota: the least recently used go first, and never one that is in use.
func TestQuota(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, Limits{Count: 3})
	var ids []string
	keep := func(i int) {
		t.Helper()
		id, err := s.Keep(t.Context(), program(t, "p", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	usedAt := func(id string, second int64) {
		t.Helper()
		at := unix.Timespec{Sec: second}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, s.path(id), []unix.Timespec{at, at}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		keep(i)
		usedAt(ids[i], int64(i+1))
	}
	_, cmd := sleeper(t)
	if err := s.Use(ids[0], cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	keep(3)
	for i, want := range []bool{true, false, true, true} {
		if _, err := s.Find(ids[i]); (err == nil) != want {
			t.Errorf("file %d: %v", i, err)
		}
	}
	end(cmd) // now the first one may go
	usedAt(ids[0], 1)
	keep(4)
	if _, err := s.Find(ids[0]); err == nil {
		t.Error("what a dead process used is still there")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, usePrefix+"*")); len(left) != 0 {
		t.Errorf("notes of use are left: %q", left)
	}
}

// TestRefused: what does not fit is refused, with the reason.
func TestRefused(t *testing.T) {
	for want, limits := range map[string]Limits{"more than the store's": {Bytes: 100}, "free on the disk": {MinFree: 1 << 62}, "in use": {Count: 1}} {
		s := New(t.TempDir(), limits)
		if want == "in use" {
			id, err := s.Keep(t.Context(), program(t, "p", "1"))
			if err := errors.Join(err, s.Use(id, os.Getpid())); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Keep(t.Context(), program(t, "p", "2")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestKilledWriter: what a killed process was writing goes, what a living one
// writes stays.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
	buf := make([]byte, 8)
	if _, err := io.ReadFull(out, buf); err != nil || string(buf) != "writing\n" {
		t.Fatalf("%q, %v", buf, err)
	}
	s := New(dir, Limits{})
	for _, want := range []int{1, 0} {
		if _, err := s.Keep(t.Context(), program(t, "p", fmt.Sprint(want))); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, temporaryPrefix+"*")); len(left) != want {
			t.Errorf("%d files are being written, want %d", len(left), want)
		}
		end(cmd)
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	paths := []string{program(t, "a", "1"), program(t, "b", "2")}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			s := New(dir, Limits{})
			id, err := s.Keep(t.Context(), paths[i%2])
			if err == nil {
				_, err = s.Find(id)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list := New(dir, Limits{}).list(); len(list) != 2 {
		t.Errorf("kept %v", list)
	}
}

// TestLocked: a lock that another one holds is waited for no longer than allowed.
func TestLocked(t *testing.T) {
	s := New(t.TempDir(), Limits{})
	err := s.locked(t.Context(), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.Keep(ctx, program(t, "p", "1"))
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestKinds: the test's own binary has the id of a linker, a text that of its
// contents.
func TestKinds(t *testing.T) {
	own, err := Identify(os.Args[0])
	if err != nil || !strings.HasPrefix(own, kindGo) && !strings.HasPrefix(own, kindGNU) || !valid(own) {
		t.Errorf("%q, %v", own, err)
	}
	text, err := Identify(program(t, "p", "1"))
	if err != nil || !strings.HasPrefix(text, kindSum) || !valid(text) {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := OfCore(os.Args[0]); err == nil {
		t.Error("an executable was taken for a core")
	}
}

// TestKernelCore: the kernel's core names its executable.
func TestKernelCore(t *testing.T) {
	if pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern"); strings.TrimSpace(string(pattern)) != "core" {
		t.Skipf("cores do not go to the working directory: core_pattern is %q", pattern)
	}
	own, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec "+own)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), roleEnv+"=crash", "GOTRACEBACK=crash")
	out, err := cmd.CombinedOutput()
	cores, _ := filepath.Glob(filepath.Join(cmd.Dir, "core*"))
	if err == nil || len(cores) != 1 {
		t.Fatalf("%v, cores %q: %.500s", err, cores, out)
	}
	want, _ := Identify(own)
	if got, err := OfCore(cores[0]); err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add([]byte("\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00abcd"))
	f.Add([]byte("\x04\x00\x00\x00\xff\xff\xff\xff\x03\x00\x00\x00GNU\x00abcd"))
	f.Add([]byte("\x04\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00Go\x00\x00ab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if id := idOfNotes(data); id != "" && !valid(id) {
			t.Errorf("id %q", id)
		}
		if file, err := parse(bytes.NewReader(data)); err == nil {
			if id := idOfImage(file); id != "" && !valid(id) {
				t.Errorf("id %q", id)
			}
		}
	})
}
