package proctree

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	// Orphans of the tests become ours, as those of services become the
	// keeper's.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// daemons is a shell that leaves a child, a child in a session of its own, and
// an orphan: a double fork with setsid and closed descriptors.
const daemons = `sleep 1000 & echo $!
setsid sh -c 'echo $$; exec sleep 1000' &
(setsid sh -c 'echo $$; exec sleep 1000 <&- >&- 2>&-' & ) 
wait`

// start runs the script and returns its pid and the n pids that it prints. All
// are killed and reaped at the end.
func start(t *testing.T, script, env string, n int) (pid int, printed []int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", script},
		&os.ProcAttr{Files: []*os.File{nil, w, nil}, Env: []string{"PATH=/bin:/usr/bin", env}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	pid = p.Pid
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range append([]int{pid}, printed...) {
			end(pid)
		}
	})
	lines := bufio.NewReader(r)
	for range n {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		child, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		printed = append(printed, child)
	}
	return pid, printed
}

// end kills and reaps pid, which is a child of ours by birth or adoption, or
// has been reaped by now; it is not reused as long as it is our child.
func end(pid int) {
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err == nil {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	_ = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED, nil)
}

// alive says whether pid is there and no zombie.
func alive(pid int) bool {
	p, err := Read(pid)
	return err == nil && !p.Zombie
}

// service returns a service whose main process has just been started.
func service(t *testing.T, marker string, main int) *Service {
	t.Helper()
	p, err := Read(main)
	if err != nil {
		t.Fatal(err)
	}
	s := NewService(marker, os.Getpid())
	s.Started(p)
	return s
}

func TestKillTreeAndOrphan(t *testing.T) {
	mine, children := start(t, daemons, "VIGIL_SERVICE_ID=one", 3)
	other, neighbours := start(t, daemons, "VIGIL_SERVICE_ID=one-more", 3)
	s := service(t, "VIGIL_SERVICE_ID=one", mine)
	killed, err := s.Kill(t.Context())
	if err != nil || killed < 4 {
		t.Errorf("killed %d, %v", killed, err)
	}
	for _, pid := range append(children, mine) {
		if alive(pid) {
			t.Errorf("process %d of the service lives", pid)
		}
	}
	for _, pid := range append(neighbours, other) {
		if !alive(pid) {
			t.Errorf("process %d of the neighbour was killed", pid)
		}
	}
}

// TestRecordedDescent: an orphan without the marker is found because it was
// seen when its parents lived.
func TestRecordedDescent(t *testing.T) {
	mine, children := start(t, `sh -c 'env -i setsid sleep 1000 & echo $!; wait' & echo $!; wait`, "A=b", 2)
	s := service(t, "VIGIL_SERVICE_ID=none", mine)
	all, err := Scan()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Update(all); len(got) != 3 {
		t.Fatalf("found %v", got)
	}
	end(mine)
	if _, err := s.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	for _, pid := range children {
		if alive(pid) {
			t.Errorf("process %d lives", pid)
		}
	}
}

// TestSession: an orphan that left neither marker nor record is found by the
// session that the main process led.
func TestSession(t *testing.T) {
	main, children := start(t, `exec setsid -w sh -c 'echo $$; (env -i sleep 1000 & echo $!); read x; wait'`, "A=b", 2)
	s := service(t, "VIGIL_SERVICE_ID=none", children[0])
	end(main)
	leader, _ := Read(children[0])
	if leader.SID != leader.PID {
		t.Fatalf("no leader: %+v", leader)
	}
	if _, err := s.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	if alive(children[1]) {
		t.Error("the member of the session lives")
	}
}

func TestKillIsInterrupted(t *testing.T) {
	mine, _ := start(t, "echo $$; exec sleep 1000", "A=b", 1)
	s := service(t, "A=b", mine)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := s.Kill(ctx); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

// TestReusedPID: a process that is not the recorded one is left alone.
func TestReusedPID(t *testing.T) {
	mine, _ := start(t, "echo $$; exec sleep 1000", "A=b", 1)
	p, err := Read(mine)
	if err != nil {
		t.Fatal(err)
	}
	p.Ticks--
	s := NewService("VIGIL_SERVICE_ID=none", os.Getpid())
	s.Started(p)
	if n, err := s.Kill(t.Context()); n != 0 || err != nil || !alive(mine) {
		t.Errorf("killed %d, %v", n, err)
	}
}

func TestDescendants(t *testing.T) {
	s := Snapshot{}
	for pid, ppid := range map[int]int{1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 6} {
		s[pid] = Process{PID: pid, PPID: ppid}
	}
	if got := s.Descendants(2, 3, 99, 6); len(got) != 4 || got[0].PID != 2 {
		t.Errorf("%v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 42 1 1")
	f.Add(") (")
	f.Fuzz(func(t *testing.T, stat string) {
		if p, err := parse(stat); err != nil && p != (Process{}) {
			t.Error(p, err)
		}
	})
}

func FuzzHasEntry(f *testing.F) {
	f.Add([]byte("A=b\x00C=d\x00"), "C=d")
	f.Fuzz(func(t *testing.T, env []byte, marker string) { hasEntry(env, marker) })
}

// A process in the middle of execve(2) shows an empty environment. It is looked
// at again before it is said that nothing is left, but not for ever.
func TestKillWaitsForExec(t *testing.T) {
	const marker = "VIGIL_SERVICE_ID=in-exec"
	pid, _ := start(t, "sleep 1000 & echo $!; exec sleep 1000", marker, 1)
	looks := 0
	s := NewService(marker, os.Getpid())
	s.carries = func(marker string, p Process) (bool, bool) {
		if p.PID == pid {
			if looks++; looks < 5 {
				return false, false
			}
		}
		return carries(marker, p)
	}
	if _, err := s.Kill(t.Context()); err != nil || looks < 5 || alive(pid) {
		t.Errorf("%v after %d looks; alive: %v", err, looks, alive(pid))
	}
}

func TestKillDoesNotWaitForEver(t *testing.T) {
	pid, _ := start(t, "sleep 1000 & echo $!; exec sleep 1000", "A=b", 1)
	looks := 0
	s := NewService("VIGIL_SERVICE_ID=stuck", os.Getpid())
	s.carries = func(marker string, p Process) (bool, bool) {
		if p.PID == pid {
			looks++
			return false, false
		}
		return carries(marker, p)
	}
	if n, err := s.Kill(t.Context()); n != 0 || err != nil || looks != maxLooks+1 || !alive(pid) {
		t.Errorf("killed %d, %v, after %d looks; alive: %v", n, err, looks, alive(pid))
	}
}

// Orphans that are killed while they begin execve(2). Without the second look
// each of 20 runs missed one.
func TestKillFindsWhoExecs(t *testing.T) {
	const marker = "VIGIL_SERVICE_ID=execs"
	for range 100 {
		pid, left := start(t, "setsid sleep 1000 >/dev/null & echo $!", marker, 1)
		s := NewService(marker, os.Getpid())
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Kill(t.Context()); err != nil || alive(left[0]) {
			t.Fatalf("%v; alive: %v", err, alive(left[0]))
		}
		end(pid)
		end(left[0])
	}
}
