package keeper

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

const nobody = 65534

// die is kill -9 of the keeper, and of its supervisor unless that is spared.
func (r *rig) die(withSupervisor bool) {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	if withSupervisor && r.now != nil {
		r.now.crash() // not before: there would be another
	}
	<-r.over
	for _, pid := range r.ours {
		reapLater(r.t, pid)
	}
	r.ours = nil
	if r.now != nil {
		r.now.close() // the supervisor sees the end of its socket
		reapOrphan(r.now.pid)
		r.now = nil
	}
}

// reapOrphan takes the status of a process that has become ours, if it has.
func reapOrphan(pid int) (ws syscall.WaitStatus) {
	_, _ = syscall.Wait4(pid, &ws, 0, nil)
	return ws
}

// reapLater, of one that has become ours, reaps it as soon as it has ended, as pid 1 would.
func reapLater(t *testing.T, pid int) {
	done := make(chan struct{})
	go func() { defer close(done); reapOrphan(pid) }()
	t.Cleanup(func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		<-done
	})
}

// taken is a child as the next supervisor gets it.
type taken struct {
	protocol.Child
	running
}

// adopted is the next keeper's supervisor and the child a#1.
func (r *rig) adopted(uid uint32, before running) (*super, taken) {
	r.t.Helper()
	r.launch(uid)
	s, rec := r.charge()
	c, ok := rec.children[before.id]
	fds := rec.childFDs[before.id]
	if !ok || c.Started.PID != before.PID || c.Started.Ticks != before.Ticks || c.Exit != nil || len(fds) != 3 {
		r.t.Fatalf("%s, pid %d, came back as %+v with %d descriptors", before.id, before.PID, c, len(fds))
	}
	got := taken{c, running{Started: c.Started, id: before.id, pidfd: fds[0], out: dupFile(r.t, fds[1]), err: dupFile(r.t, fds[2])}}
	return s, got
}

func dupFile(t *testing.T, fd int) *os.File {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(n), "output")
	t.Cleanup(func() { f.Close() })
	return f
}

// counter is a service that writes a numbered line for each that it gets.
func counter(t *testing.T, r *rig) (protocol.Start, *os.File) {
	t.Helper()
	path := filepath.Join(r.dir, "go")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	script := fmt.Sprintf(`exec 9<>%s; i=0; while :; do i=$((i+1)); echo "line $i"; read -r x <&9; done`, path)
	return shell("a", script), f
}

func next(t *testing.T, f *os.File) {
	t.Helper()
	if _, err := f.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
}

func wantLine(t *testing.T, c running, n int) {
	t.Helper()
	if got, want := c.line(t), fmt.Sprintf("line %d", n); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAdopt: a service lives through the end of its keeper, in every way in
// which its supervisor ends with it, with a cgroup and without.
func TestAdopt(t *testing.T) {
	for _, uid := range []uint32{0, nobody} {
		for _, way := range []string{"keeper", "both", "supervisor stopped"} {
			t.Run(fmt.Sprintf("%s/uid %d", way, uid), func(t *testing.T) { adoptOnce(t, uid, way) })
		}
	}
}

func adoptOnce(t *testing.T, uid uint32, way string) {
	r := newRig(t, uid)
	s, _ := r.charge()
	start, f := counter(t, r)
	c := s.start(start)
	r.ours = append(r.ours, c.PID)
	wantLine(t, c, 1)
	s.ok(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("its note")})
	next(t, f) // line 2 is read by the next one
	held := 0
	if way == "supervisor stopped" {
		if err := unix.Kill(s.pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		held = s.pid
		r.now = nil // it keeps its socket
		t.Cleanup(s.close)
	}
	r.die(way == "both")
	begun := time.Now()
	s2, got := r.adopted(uid, c)
	if held != 0 {
		if took := time.Since(begun); took > lastWordsTime {
			t.Errorf("a stopped supervisor was waited for, %v", took)
		}
		if lives(held) {
			t.Error("the stopped supervisor lives")
		}
		reapOrphan(held)
	}
	if s2.epoch != s.epoch+1 {
		t.Errorf("epoch %d after %d", s2.epoch, s.epoch)
	}
	wantLine(t, got.running, 2)
	for n := 3; n < 6; n++ {
		next(t, f)
		wantLine(t, got.running, n)
	}
	r.die(true) // once more
	s3, got := r.adopted(uid, c)
	next(t, f)
	wantLine(t, got.running, 6)
	if uid == 0 && got.Child.Started.Cgroup == "" {
		t.Error("its cgroup is lost")
	}
	s3.ok(protocol.TSignal, protocol.Signal{ID: c.id, Number: int(unix.SIGTERM), Scope: protocol.ScopeMain})
	e := s3.event(protocol.EventExited)
	if ws := syscall.WaitStatus(e.Exit.Status); e.Exit.Unknown || ws.Signal() != unix.SIGTERM {
		t.Errorf("exit %+v", e.Exit)
	}
	s3.event(protocol.EventEmpty)
	s3.ok(protocol.TRelease, protocol.Name{Name: c.id})
	r.end(0)
	if _, err := os.Stat(filepath.Join(r.dir, "run", dirRecords)); err == nil {
		t.Error("records are left after an orderly end")
	}
}

// TestAdoptDead: a service that ended while no keeper ran is told from one that
// runs, with its status as long as nobody has reaped it.
func TestAdoptDead(t *testing.T) {
	for _, reaped := range []bool{true, false} {
		t.Run(fmt.Sprintf("reaped %v", reaped), func(t *testing.T) {
			r := newRig(t, 0)
			s, _ := r.charge()
			c := s.start(shell("a", "trap 'exit 7' TERM; sleep 600 & echo up; wait"))
			c.line(t)
			r.die(true)
			if err := unix.Kill(c.PID, unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := unix.Waitid(unix.P_PID, c.PID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
				t.Fatal(err)
			}
			if reaped {
				reapOrphan(c.PID)
			}
			r.launch(0)
			s, rec := r.charge()
			if !reaped {
				if got := rec.children[c.id]; got.Exit != nil {
					t.Errorf("end of a zombie is known: %+v", got.Exit)
				}
				reapOrphan(c.PID)
			}
			e := s.event(protocol.EventExited)
			if e.Exit.Unknown != reaped || !reaped && syscall.WaitStatus(e.Exit.Status).ExitStatus() != 7 {
				t.Errorf("exit %+v", e.Exit)
			}
			if reaped {
				s.event(protocol.EventEmpty) // what it left behind was ended
			} else {
				s.ok(protocol.TKill, protocol.Kill{ID: c.id})
				s.event(protocol.EventEmpty)
			}
			r.end(0)
		})
	}
}

// TestAdoptStandingOrder: the supervisor had not heard of the end that the dead
// keeper answered with a start. Both are told as one.
func TestAdoptStandingOrder(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	st := shell("a", "echo up; exec sleep 600")
	st.Again = true
	c := s.start(st)
	c.line(t)
	if err := unix.Kill(c.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	first := s.event(protocol.EventRestarted) // not acknowledged
	r.ours = append(r.ours, first.Started.PID)
	r.die(true)
	r.launch(0)
	s, rec := r.charge()
	second := s.event(protocol.EventRestarted)
	if second.Inst != 1 || second.Started.PID != first.Started.PID || second.Started.Instance != 2 || len(second.files) != 3 ||
		second.Exit.Unknown || syscall.WaitStatus(second.Exit.Status).Signal() != unix.SIGKILL {
		t.Errorf("told %+v, then %+v", first, second)
	}
	if old, now := rec.children["a#1"], rec.children["a#2"]; old.Exit == nil || !old.Empty || now.Exit != nil {
		t.Errorf("children %+v", rec.children)
	}
	s.ok(protocol.TRelease, protocol.Name{Name: "a#1"})
	s.killed("a#2")
	r.end(0)
}

// edit changes a record between two keepers.
func (r *rig) edit(id string, change func(*record)) {
	r.t.Helper()
	rec := openRecords(filepath.Join(r.dir, "run"))
	path := filepath.Join(rec.dir, childFile(id))
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	one, err := decodeRecord(text)
	if err != nil {
		r.t.Fatal(err)
	}
	change(&one)
	rec.writeJSON(childFile(id), one)
	if rec.failed != nil {
		r.t.Fatal(rec.failed)
	}
	if st, err := os.Stat(rec.dir); err == nil {
		_ = os.Chown(path, int(st.Sys().(*syscall.Stat_t).Uid), -1)
	}
}

// TestAdoptStart: the keeper was killed between the record of a start and its
// outcome. What it left is a record that says "starting", made here from the
// one that followed, and a process, or none.
func TestAdoptStart(t *testing.T) {
	for _, uid := range []uint32{0, nobody} {
		t.Run(fmt.Sprintf("uid %d", uid), func(t *testing.T) {
			r := newRig(t, uid)
			s, _ := r.charge()
			start, f := counter(t, r)
			c := s.start(start)
			r.ours = append(r.ours, c.PID)
			r.die(true)
			r.edit(c.id, func(rec *record) {
				rec.Starting, rec.Started = true, protocol.Started{}
				other := *rec
				other.Key = "never"
				openRecords(filepath.Join(r.dir, "run")).writeJSON(childFile("never#1"), other)
			})
			if uid != 0 {
				_ = os.Chown(filepath.Join(r.dir, "run", dirRecords, childFile("never#1")), nobody, -1)
			}
			if uid == 0 { // its group must not be that of the other
				path := filepath.Join(r.dir, "run", dirRecords, childFile("never#1"))
				b, _ := os.ReadFile(path)
				if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), "/a.1", "/never.1")), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, got := r.adopted(uid, c)
			wantLine(t, got.running, 1)
			next(t, f)
			wantLine(t, got.running, 2)
			if m := s.answer(s.send(protocol.TStart, start)); m.Type != protocol.TReply {
				t.Errorf("a second instance was started")
			}
			if n := s.start(shell("never", "echo now")); n.line(t) != "now" {
				t.Error("what was never started cannot be")
			}
			s.event(protocol.EventExited)
			s.event(protocol.EventEmpty)
			s.killed(c.id)
			r.end(0)
		})
	}
}

// TestAdoptAtRandom kills the keeper at any moment while services start, and
// counts the instances: each takes a lock for as long as it lives.
func TestAdoptAtRandom(t *testing.T) {
	for _, uid := range []uint32{0, nobody} {
		t.Run(fmt.Sprintf("uid %d", uid), func(t *testing.T) { adoptAtRandom(t, uid) })
	}
}

func adoptAtRandom(t *testing.T, uid uint32) {
	r := newRig(t, uid)
	lockFile := filepath.Join(r.dir, "state", "lock")
	second := filepath.Join(r.dir, "state", "second")
	script := fmt.Sprintf("exec 8>>%s; flock -n 8 || { echo $$ >>%s; exit 9; }; exec sleep 600", lockFile, second)
	instance := uint64(0)
	for round := range 20 {
		s, rec := r.charge()
		if len(rec.children) > 1 {
			t.Fatalf("round %d: children %+v", round, rec.children)
		}
		for id, c := range rec.children {
			instance = max(instance, c.Started.Instance)
			if c.Started.PID > 0 {
				reapLater(t, c.Started.PID)
			}
			s.killed(id) // the next round starts anew
		}
		st := shell("a", script)
		instance++
		st.Instance = instance
		s.send(protocol.TStart, st)
		<-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond)
		r.die(true)
		r.launch(uid)
	}
	s, rec := r.charge()
	for id := range rec.children {
		s.killed(id)
	}
	if b, err := os.ReadFile(second); err == nil {
		t.Errorf("a second instance ran: pids %s", b)
	}
	r.end(0)
}

// TestAdoptOrphans: the main process of a service is gone, and so is its keeper;
// what descends from it is found without a cgroup, too, and ended.
func TestAdoptOrphans(t *testing.T) {
	r := newRig(t, nobody)
	s, _ := r.charge()
	c := s.start(shell("a", "setsid sleep 600 & echo $!; exec sleep 600"))
	orphan, err := strconv.Atoi(c.line(t))
	if err != nil {
		t.Fatal(err)
	}
	r.die(true)
	_ = unix.Kill(c.PID, unix.SIGKILL)
	reapOrphan(c.PID)
	if !lives(orphan) {
		t.Fatal("the orphan is gone already")
	}
	reapLater(t, orphan)
	r.launch(nobody)
	s, _ = r.charge()
	if e := s.event(protocol.EventExited); !e.Exit.Unknown {
		t.Errorf("exit %+v", e.Exit)
	}
	s.event(protocol.EventEmpty)
	if lives(orphan) {
		t.Error("the orphan lives")
	}
	r.end(0)
}

// TestAdoptHelper: helpers are adopted to be ended.
func TestAdoptHelper(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	st := shell("h", "echo up; exec sleep 600")
	st.Helper = true
	c := s.start(st)
	c.line(t)
	r.ours = append(r.ours, c.PID)
	r.die(true)
	s, got := r.adopted(0, c)
	if !got.Helper {
		t.Error("it is no helper any more")
	}
	s.killed(c.id)
	r.end(0)
}

// TestAdoptStopped: that an operator holds a process is seen at adoption.
func TestAdoptStopped(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	c := s.start(shell("a", "echo up; exec sleep 600"))
	c.line(t)
	r.ours = append(r.ours, c.PID)
	if err := unix.Kill(c.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.event(protocol.EventStopped)
	r.die(true)
	s, got := r.adopted(0, c)
	if got.Stopped != int(unix.SIGSTOP) {
		t.Errorf("stopped by %d", got.Stopped)
	}
	s.killed(c.id)
	r.end(0)
}

// TestAdoptWithoutRecords: what cannot be recorded is found by its cgroup.
func TestAdoptWithoutRecords(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	dir := filepath.Join(r.dir, "run", dirRecords)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // nothing can be written below it
		t.Fatal(err)
	}
	start, f := counter(t, r)
	start.Instance = 5
	c := s.start(start)
	r.ours = append(r.ours, c.PID)
	if n := strings.Count(r.said(), "cannot keep a record"); n != 1 {
		t.Errorf("told %d times", n)
	}
	r.die(true)
	s, got := r.adopted(0, c)
	wantLine(t, got.running, 1)
	next(t, f)
	wantLine(t, got.running, 2)
	s.killed(c.id)
	r.end(0)
}

// TestRubbishRecords: files that no keeper wrote, cut ones and those of another
// boot are told of or dropped, and keep nothing from being adopted.
func TestRubbishRecords(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	c := s.start(shell("a", "echo up; exec sleep 600"))
	c.line(t)
	r.ours = append(r.ours, c.PID)
	r.die(true)
	dir := filepath.Join(r.dir, "run", dirRecords)
	good, err := os.ReadFile(filepath.Join(dir, childFile(c.id)))
	if err != nil {
		t.Fatal(err)
	}
	boot := openRecords(filepath.Join(r.dir, "run")).boot
	for name, text := range map[string]string{
		"child.cut%231":      string(good[:len(good)/2]),
		"child.empty%231":    "",
		"child.one%231":      fmt.Sprintf(`{"boot":%q,"key":"one","instance":1,"started":{"pid":1}}`, boot),
		"child.other%231":    string(good),
		"child.earlier%231":  `{"boot":"another","key":"earlier","instance":1,"started":{"pid":` + strconv.Itoa(os.Getpid()) + `}}`,
		"child.mistaken%231": fmt.Sprintf(`{"boot":%q,"key":"mistaken","instance":1,"started":{"pid":%d,"ticks":1}}`, boot, os.Getpid()),
		"what":               "is this",
		"note.%zz":           "a name that cannot be",
		".new":               "half a record",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.launch(0)
	s, rec := r.charge()
	if len(rec.children) != 2 || rec.children[c.id].Exit != nil || rec.children["mistaken#1"].Exit == nil {
		t.Errorf("children %+v", rec.children)
	}
	if !rec.children["mistaken#1"].Exit.Unknown {
		t.Errorf("the end of a process that is another one now: %+v", rec.children["mistaken#1"].Exit)
	}
	for _, name := range []string{"cut", "empty", "one", "other", "what", "%zz"} {
		if !strings.Contains(r.said(), name) {
			t.Errorf("nothing is said of %s:\n%s", name, r.said())
		}
	}
	s.event(protocol.EventExited)
	s.event(protocol.EventEmpty)
	s.killed(c.id)
	r.end(0)
}

// TestLockOfTheDead: a child that has not come to its exec holds the lock of a
// keeper that was killed; a living keeper is not waited for.
func TestLockOfTheDead(t *testing.T) {
	dir := t.TempDir()
	f, err := lock("x", dir)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var running *Running
	if _, err := lock("x", dir); !errors.As(err, &running) || running.PID != os.Getpid() || time.Since(begun) > lockPatience/2 {
		t.Errorf("second lock: %v after %v", err, time.Since(begun))
	}
	// Now it looks like one of a process that is gone.
	if _, err := f.WriteAt([]byte("4194303\n"), 0); err != nil {
		t.Fatal(err)
	}
	free := make(chan struct{})
	time.AfterFunc(2*dyingTime, func() { f.Close(); close(free) })
	g, err := lock("x", dir)
	<-free
	if err != nil {
		t.Fatalf("the lock of a dead one: %v", err)
	}
	g.Close()
}

func FuzzDecodeRecord(f *testing.F) {
	for _, seed := range []string{
		`{"boot":"b","key":"a","instance":1,"started":{"pid":12,"ticks":3,"instance":1,"boot":5},"outputs":[1,2]}`,
		`{"key":"a","started":{"pid":-1}}`, `{"key":"a","stop_signal":65}`, `{"key":"a","stop_timeout":-1}`, `{}`, `[`, ``, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rec, err := decodeRecord(text)
		if err != nil {
			return
		}
		if rec.Key == "" || rec.Started.PID < 0 || rec.Started.PID == 1 || rec.Started.PID > maxPID || rec.StopSignal < 0 || rec.StopSignal > 64 || rec.StopTimeout < 0 {
			t.Errorf("taken: %+v", rec)
		}
	})
}

// BenchmarkRecord is what each of the two or three records of a restart costs.
func BenchmarkRecord(b *testing.B) {
	r := openRecords(b.TempDir())
	c := newChild(protocol.Start{Key: "service", Instance: 12, StopSignal: 15, StopTimeout: 20 * time.Second})
	c.started = protocol.Started{PID: 1234, Ticks: 123456789, Instance: 12, Boot: time.Hour, Cgroup: "/sys/fs/cgroup/unified/vigil-default.1/service.12"}
	for b.Loop() {
		r.child(c)
	}
	if r.failed != nil {
		b.Fatal(r.failed)
	}
}
