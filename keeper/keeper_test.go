package keeper

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

func TestEpochs(t *testing.T) {
	r := newRig(t, 0)
	s := r.next()
	w := s.hello()
	if w.Epoch != 1 || w.Name != r.name || w.KeeperPID != r.cmd.Process.Pid || w.Started == 0 {
		t.Errorf("welcome %+v", w)
	}
	if w = s.hello(); w.Epoch != 2 {
		t.Errorf("second epoch %d", w.Epoch)
	}
	s.epoch = 1
	if got := s.reply(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("old")}); got.Code != "fenced" {
		t.Errorf("a request of an old epoch: %+v", got)
	}
	m := s.answer(s.send(protocol.TStart, shell("a", "true")))
	var got protocol.Reply
	into(t, m, &got)
	if m.Type != protocol.TReply || got.Code != "fenced" {
		t.Errorf("a start of an old epoch: %s %+v", m.Type, got)
	}
	s.epoch = 2
	if rec := s.recover(); len(rec.notes)+len(rec.children) != 0 {
		t.Errorf("the fenced requests left %+v", rec)
	}
	s.send(protocol.TReady, nil)
	s.crash()
	s = r.next()
	if w = s.hello(); w.Epoch != 3 {
		t.Errorf("epoch of the successor %d", w.Epoch)
	}
}

func TestWrongProtocolIsRefused(t *testing.T) {
	r := newRig(t, 0)
	s := r.next()
	got := s.reply(protocol.THello, protocol.Hello{Protocol: protocol.Version + 1, Version: "9"})
	if !strings.Contains(got.Error, "protocol 2") {
		t.Errorf("got %+v", got)
	}
	s.hello()
}

func TestStart(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	st := shell("a", `echo "$$ $VIGIL_INSTANCE $ME"; echo bad >&2; exit 7`)
	st.PIDEnv, st.Env = "@pid@", append(st.Env, "ME=@pid@")
	c := s.start(st)
	if got, want := c.line(t), fmt.Sprintf("%d %s/a#1 %d", c.PID, r.name, c.PID); got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	if got := readLine(t, c.err); got != "bad" {
		t.Errorf("stderr %q", got)
	}
	if c.Boot == 0 || c.Instance != 1 { // Ticks may be 0: it ends at once
		t.Errorf("started %+v", c.Started)
	}
	e := s.event(protocol.EventExited)
	ws := syscall.WaitStatus(e.Exit.Status)
	if e.Key != "a" || e.Inst != 1 || !ws.Exited() || ws.ExitStatus() != 7 || e.Exit.MaxRSS < 4096 || e.Exit.Boot < c.Boot {
		t.Errorf("exit %+v %+v", e.Event, e.Exit)
	}
	if err := unix.PidfdSendSignal(c.pidfd, 0, nil, 0); err != unix.ESRCH {
		t.Errorf("the pidfd is not that of the process, or it was not reaped: %v", err)
	}
	empty := s.event(protocol.EventEmpty)
	if empty.Seq != e.Seq+1 || empty.Inst != 1 {
		t.Errorf("empty %+v", empty.Event)
	}
	if got := s.reply(protocol.TSignal, protocol.Signal{ID: c.id, Number: 15, Scope: protocol.ScopeMain}); got.Errno != int(unix.ESRCH) {
		t.Errorf("signal to the dead: %+v", got)
	}
	s.ok(protocol.TRelease, protocol.Name{Name: c.id})
	if got := s.reply(protocol.TSignal, protocol.Signal{ID: c.id, Number: 15, Scope: protocol.ScopeMain}); got.Code != "unknown" {
		t.Errorf("signal to the released: %+v", got)
	}
	if c.Cgroup != "" {
		if _, err := os.Stat(c.Cgroup); !os.IsNotExist(err) {
			t.Errorf("the cgroup of a released child: %v", err)
		}
	}
}

func TestStartFails(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	plain := filepath.Join(r.dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stage string
		errno syscall.Errno
		mend  func(*protocol.Start)
	}{
		{"chdir", unix.ENOENT, func(s *protocol.Start) { s.Dir = filepath.Join(r.dir, "nowhere") }},
		{"exec", unix.EACCES, func(s *protocol.Start) { s.Path = plain }},
		{"exec", unix.ENOENT, func(s *protocol.Start) { s.Path = plain + "-not" }},
		{"prepare", 0, func(s *protocol.Start) { s.Files = []string{"nobody put this"} }},
	} {
		st := shell("a", "true")
		c.mend(&st)
		m := s.answer(s.send(protocol.TStart, st))
		var got protocol.Reply
		into(t, m, &got)
		if m.Type != protocol.TReply || got.Code != "start-failed" || got.Stage != c.stage || got.Errno != int(c.errno) || got.Error == "" {
			t.Errorf("got %s %+v, want stage %s errno %d", m.Type, got, c.stage, c.errno)
		}
	}
	for _, bad := range []protocol.Start{{}, {Key: "a", Instance: 1}, {Key: "a", Path: "/bin/true"}} {
		if got := s.reply(protocol.TStart, bad); got.Error == "" {
			t.Errorf("%+v was started", bad)
		}
	}
	// A failed start leaves nothing: the same instance can be tried again.
	c := s.start(shell("a", "sleep 1000"))
	second := shell("a", "true")
	second.Instance = 2
	if got := s.reply(protocol.TStart, second); got.Error == "" {
		t.Error("two instances of one key")
	}
	s.killed(c.id)
}

func TestStoppedAndContinued(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	c := s.start(shell("a", "echo up; exec sleep 1000"))
	if c.Ticks == 0 {
		t.Error("the start time of a process that lives is not told")
	}
	c.line(t)
	signal := func(n syscall.Signal) {
		s.ok(protocol.TSignal, protocol.Signal{ID: c.id, Number: int(n), Scope: protocol.ScopeGroup})
	}
	signal(unix.SIGSTOP)
	if e := s.event(protocol.EventStopped); e.Number != int(unix.SIGSTOP) || e.Key != "a" {
		t.Errorf("stopped %+v", e.Event)
	}
	s.crash()
	s, rec := r.charge()
	if got := rec.children[c.id]; got.Stopped != int(unix.SIGSTOP) {
		t.Errorf("the successor is told %+v", got)
	}
	s.event(protocol.EventStopped) // was not acknowledged
	signal(unix.SIGCONT)
	s.event(protocol.EventContinued)
	signal(unix.SIGTERM)
	if e := s.event(protocol.EventExited); syscall.WaitStatus(e.Exit.Status).Signal() != unix.SIGTERM {
		t.Errorf("exit %+v", e.Exit)
	}
	s.event(protocol.EventEmpty)
}

// daemons is a service whose daemon has left its session and its parent.
const daemons = `setsid sh -c 'sleep 1000 & echo $!; exit' & wait; echo up; exec sleep 1000`

// TestKillTree: a killed tree takes its daemon along, a neighbour keeps its own.
func TestKillTree(t *testing.T) {
	t.Run("cgroup", func(t *testing.T) {
		r := newRig(t, 0)
		s := r.next()
		if w := s.hello(); w.Cgroup == "" {
			t.Skipf("needs a cgroup: %s", w.NoCgroup)
		}
		s.recover()
		s.send(protocol.TReady, nil)
		killTrees(t, s)
	})
	t.Run("walk", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("needs root, to run the keeper as a user that can make no cgroup")
		}
		r := newRig(t, 65534)
		s := r.next()
		if w := s.hello(); w.NoCgroup == "" {
			t.Skipf("user 65534 may make cgroups in %s", w.Cgroup)
		}
		s.recover()
		s.send(protocol.TReady, nil)
		killTrees(t, s)
	})
}

func killTrees(t *testing.T, s *super) {
	a, b := s.start(shell("a", daemons)), s.start(shell("b", daemons))
	var pids []int
	for _, c := range []running{a, b} {
		pid, err := strconv.Atoi(c.line(t))
		if err != nil || c.line(t) != "up" {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	s.killed(a.id)
	if lives(pids[0]) || lives(a.PID) {
		t.Errorf("of the killed tree, main lives: %v, daemon lives: %v", lives(a.PID), lives(pids[0]))
	}
	if !lives(pids[1]) || !lives(b.PID) {
		t.Errorf("of the neighbour, main lives: %v, daemon lives: %v", lives(b.PID), lives(pids[1]))
	}
	// The main process alone ends: the tree is not empty until it is killed.
	s.ok(protocol.TSignal, protocol.Signal{ID: b.id, Number: int(unix.SIGKILL), Scope: protocol.ScopeMain})
	s.event(protocol.EventExited)
	if !lives(pids[1]) {
		t.Error("the daemon ended with its main process")
	}
	s.ok(protocol.TKill, protocol.Kill{ID: b.id})
	s.event(protocol.EventEmpty)
	if lives(pids[1]) {
		t.Error("the tree is told empty, the daemon lives")
	}
}

func TestNotesAndFilesSurvive(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s.ok(protocol.TPutFile, protocol.Name{Name: "kept"}, p[1])
	s.ok(protocol.TPutFile, protocol.Name{Name: "dropped"}, p[1])
	s.ok(protocol.TDropFile, protocol.Name{Name: "dropped"})
	unix.Close(p[1])
	read := os.NewFile(uintptr(p[0]), "read")
	defer read.Close()
	if got := s.reply(protocol.TPutFile, protocol.Name{Name: "none"}); got.Error == "" {
		t.Error("a descriptor was kept that did not come")
	}
	s.ok(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("first")})
	s.ok(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("second\x00")})
	s.ok(protocol.TPutNote, protocol.Note{Key: "b", Text: []byte("x")})
	s.ok(protocol.TPutNote, protocol.Note{Key: "b"})
	if got := s.reply(protocol.TPutNote, protocol.Note{Key: "c", Text: make([]byte, maxNote+1)}); got.Error == "" {
		t.Error("a note over the limit was kept")
	}
	c := s.start(shell("a", `read x; echo "got $x"; sleep 1000`))
	s.crash()
	s, rec := r.charge()
	if len(rec.notes) != 1 || rec.notes["a"] != "second\x00" || len(rec.files) != 1 {
		t.Errorf("recovered %+v", rec)
	}
	if _, err := unix.Write(rec.files["kept"], []byte("through\n")); err != nil || readLine(t, read) != "through" {
		t.Errorf("the kept descriptor is another: %v", err)
	}
	got := rec.children[c.id]
	if got.Started != c.Started || got.Exit != nil || got.Empty || len(rec.childFDs[c.id]) != 3 {
		t.Errorf("recovered %+v, was %+v", got, c.Started)
	}
	// A service inherits a kept descriptor as its 3.
	st := shell("b", "echo by b >&3")
	st.Files = []string{"kept"}
	s.start(st)
	if line := readLine(t, read); line != "by b" {
		t.Errorf("read %q", line)
	}
	s.event(protocol.EventExited)
	s.event(protocol.EventEmpty)
	s.killed(c.id)
}

func TestEventsUntilAcknowledged(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	s.start(shell("a", "exit 1"))
	first := s.event(protocol.EventExited)
	second := s.event(protocol.EventEmpty)
	s.send(protocol.TAck, protocol.Ack{Seq: first.Seq})
	s.ok(protocol.TPutNote, protocol.Note{Key: "a"}) // the ack came before this answer
	s.crash()
	s, rec := r.charge()
	if c := rec.children["a#1"]; c.Exit == nil || !c.Empty {
		t.Errorf("recovered %+v", c)
	}
	if e := s.event(protocol.EventEmpty); e.Seq != second.Seq {
		t.Errorf("told again %+v, want number %d", e.Event, second.Seq)
	}
	s.send(protocol.TAck, protocol.Ack{Seq: second.Seq})
	s.ok(protocol.TRelease, protocol.Name{Name: "a#1"})
	s.crash()
	s, rec = r.charge()
	if len(rec.children) != 0 {
		t.Errorf("the released child came back: %+v", rec.children)
	}
	s.start(shell("a", "true"))
	s.event(protocol.EventExited) // nothing of before comes first
	s.event(protocol.EventEmpty)
}

// TestStandingOrder: the next instance starts without a request, after all of
// the former is gone, be there a supervisor or not.
func TestStandingOrder(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	st := shell("a", `exec 9>"$0/lock"; flock -n 9 || echo overlap; setsid sleep 1000 & echo up; exec sleep 1000`)
	st.Args = append(st.Args, r.dir)
	st.Again = true
	c := s.start(st)
	if got := c.line(t); got != "up" {
		t.Fatal(got)
	}
	kill := func(id string) {
		s.ok(protocol.TSignal, protocol.Signal{ID: id, Number: int(unix.SIGKILL), Scope: protocol.ScopeMain})
	}
	check := func(e told, before int) int {
		t.Helper()
		if e.Inst != 1 && e.Inst != 2 || e.Started.Instance != e.Inst+1 || e.Started.PID == before || len(e.files) != 3 ||
			syscall.WaitStatus(e.Exit.Status).Signal() != unix.SIGKILL {
			t.Fatalf("restarted %+v %+v %+v", e.Event, e.Started, e.Exit)
		}
		fd, err := unix.FcntlInt(uintptr(e.files[1]), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		out := os.NewFile(uintptr(fd), "out")
		defer out.Close()
		if got := readLine(t, out); got != "up" {
			t.Fatalf("instance %d said %q", e.Started.Instance, got)
		}
		return e.Started.PID
	}
	kill(c.id)
	e := s.event(protocol.EventRestarted)
	pid := check(e, c.PID)
	s.send(protocol.TAck, protocol.Ack{Seq: e.Seq})
	s.ok(protocol.TRelease, protocol.Name{Name: "a#1"})

	// The order is good for once: it is given again, and the supervisor dies.
	s.ok(protocol.TOrder, protocol.Order{ID: "a#2", Again: true})
	s.crash()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	s, _ = r.charge()
	check(s.event(protocol.EventRestarted), pid)
	s.ok(protocol.TRelease, protocol.Name{Name: "a#2"})
	s.killed("a#3")
}

// TestStandingOrderWithdrawn while the former tree is being killed, or by a
// kill: the end is told as any other.
func TestStandingOrderWithdrawn(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	st := shell("a", daemons)
	st.Again = true
	c := s.start(st)
	c.line(t)
	c.line(t)
	s.ok(protocol.TKill, protocol.Kill{ID: c.id})
	s.event(protocol.EventExited)
	s.event(protocol.EventEmpty)
	s.ok(protocol.TRelease, protocol.Name{Name: c.id})

	// The order is withdrawn at about the time of the death: whichever comes
	// first, there is one story and it is whole.
	st.Instance = 2
	c = s.start(st)
	c.line(t)
	c.line(t)
	s.send(protocol.TSignal, protocol.Signal{ID: c.id, Number: int(unix.SIGKILL), Scope: protocol.ScopeMain})
	kill := s.send(protocol.TKill, protocol.Kill{ID: c.id})
	s.answer(kill - 1)
	s.answer(kill)
	s.event(protocol.EventExited)
	s.event(protocol.EventEmpty)
}

func TestStandingOrderFails(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	exe := filepath.Join(r.dir, "exe")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho up; read x <"+r.dir+"/gate\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(r.dir, "gate"), 0o600); err != nil {
		t.Fatal(err)
	}
	st := shell("a", "")
	st.Path, st.Args, st.Again = exe, []string{exe}, true
	c := s.start(st)
	c.line(t)
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	s.ok(protocol.TSignal, protocol.Signal{ID: c.id, Number: int(unix.SIGKILL), Scope: protocol.ScopeMain})
	e := s.event(protocol.EventOrderFail)
	if e.Failure.Stage != "exec" || e.Failure.Errno != int(unix.ENOENT) || e.Exit == nil || e.Inst != 1 {
		t.Errorf("got %+v %+v", e.Event, e.Failure)
	}
}

// TestStartWhoseAskerDies: the successor is told by an event, with the files.
// The supervisor dies right after its request; either the start ended before
// the successor recovered (then it is a child, and an event), or later.
func TestStartWhoseAskerDies(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	s.send(protocol.TStart, shell("a", "echo up; exec sleep 1000"))
	s.crash()
	s, rec := r.charge()
	c, known := rec.children["a#1"]
	switch {
	case !known:
		t.Fatal("the request was lost")
	case c.Waiting:
		if e := s.event(protocol.EventStarted); len(e.files) != 3 || e.Started.PID == 0 {
			t.Errorf("got %+v", e.Event)
		}
	case c.Started.PID == 0 || len(rec.childFDs["a#1"]) != 3:
		t.Errorf("recovered %+v", c)
	}
	s.ok(protocol.TKill, protocol.Kill{ID: "a#1"})
	s.event(protocol.EventExited, protocol.EventStarted)
	s.event(protocol.EventEmpty)
}

func TestSecondKeeper(t *testing.T) {
	r := newRig(t, 0)
	r.charge()
	out, err := exec.Command("/proc/self/exe", roleKeeper, r.name, r.dir).Output()
	if got := strings.TrimSpace(string(out)); got != strconv.Itoa(r.cmd.Process.Pid) {
		t.Errorf("the second says %q, %v", got, err)
	}
	if ee, ok := err.(*exec.ExitError); !ok || ee.ExitCode() != exitRunning {
		t.Errorf("the second ended with %v", err)
	}
}

func TestMalformedEndsTheSupervisor(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	c := s.start(shell("a", "exec sleep 1000"))
	if err := s.conn.Send(protocol.Message{Type: protocol.Type(40)}); err != nil {
		t.Fatal(err)
	}
	s, rec := r.charge()
	if got := rec.children[c.id]; got.Started.PID != c.PID || got.Exit != nil {
		t.Errorf("recovered %+v", got)
	}
	// A frame that is none of a supervisor's, and a body that is none, are only refused.
	if got := s.reply(protocol.TStarted, nil); got.Error == "" {
		t.Error("an answer was taken for a request")
	}
	if got := s.reply(protocol.TKill, []int{1}); got.Error == "" {
		t.Error("a list was taken for a kill")
	}
	s.killed(c.id)
}

// TestFirstSupervisorFails: the status of one that cannot work is the keeper's.
func TestFirstSupervisorFails(t *testing.T) {
	r := newRig(t, 0)
	r.next().exit(64)
	r.wait(64)
}

func TestQuitKillsWhatIsLeft(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	c := s.start(shell("a", daemons))
	c.line(t)
	r.end(42)
	if lives(c.PID) {
		t.Error("it lives")
	}
}

// TestTermIsToldOnce also when the supervisor comes after it.
func TestTermIsToldOnce(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	if err := r.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.event(protocol.EventSignal)
	s.crash() // without having acknowledged it
	s, _ = r.charge()
	e := s.event(protocol.EventSignal)
	s.start(shell("a", "true"))
	s.event(protocol.EventExited)
	s.event(protocol.EventEmpty)
	s.send(protocol.TAck, protocol.Ack{Seq: e.Seq + 9})
	s.ok(protocol.TRelease, protocol.Name{Name: "a#1"})
	s.crash() // it took the request, and did not carry it out
	s, _ = r.charge()
	s.event(protocol.EventSignal)
}

// TestTermWithoutSupervisor: a supervisor that dies whenever it is in charge
// does not keep the services from ending.
func TestTermWithoutSupervisor(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	st := shell("a", `trap 'echo bye >"$0/bye"; exit 0' TERM; echo up; while :; do sleep 1; done`)
	st.Args = append(st.Args, r.dir)
	st.StopSignal, st.StopTimeout = int(unix.SIGTERM), 5*time.Second
	c := s.start(st)
	c.line(t)
	deaf := shell("b", `trap '' TERM; echo up; while :; do sleep 1; done`)
	deaf.StopTimeout = time.Second
	b := s.start(deaf)
	b.line(t)
	if err := r.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	crashed := make(chan struct{})
	go func() {
		defer close(crashed)
		for s := s; ; {
			s.exit(1)
			var err error
			if s, err = r.accept(); err != nil {
				return
			}
			for _, typ := range []protocol.Type{protocol.THello, protocol.TRecover, protocol.TReady} {
				body := any(nil)
				if typ == protocol.THello {
					body = protocol.Hello{Protocol: protocol.Version}
				}
				m, _ := protocol.Make(typ, 1, s.epoch, body)
				_ = s.conn.Send(m)
				if typ == protocol.THello {
					var w protocol.Welcome
					_ = (<-s.in).Into(&w)
					s.epoch = w.Epoch
				}
			}
			defer s.close()
		}
	}()
	r.wait(exitSystem)
	r.ln.Close()
	<-crashed
	if b, err := os.ReadFile(filepath.Join(r.dir, "bye")); err != nil || string(b) != "bye\n" {
		t.Errorf("the service was not asked to end: %q, %v", b, err)
	}
}
