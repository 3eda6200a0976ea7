package keeper

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// hup asks the keeper for a reload.
func (r *rig) hup() { r.signal(unix.SIGHUP) }

func (r *rig) signal(sig unix.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

// candidate takes the candidate that the keeper starts.
func (r *rig) candidate() *super {
	r.t.Helper()
	c, err := r.accept()
	if err != nil {
		r.t.Fatalf("no candidate came: %v", err)
	}
	r.others = append(r.others, c)
	return c
}

// briefed is a candidate that has been told what there is.
func (r *rig) briefed() *super {
	r.t.Helper()
	c := r.candidate()
	w := c.hello()
	if w.Epoch != 0 || w.Beginning != protocol.BeginCandidate {
		r.t.Errorf("a candidate was welcomed by %+v", w)
	}
	for id, fds := range c.recover().childFDs {
		if len(fds) > 0 {
			r.t.Errorf("a candidate got descriptors of %s", id)
		}
	}
	return c
}

// applied is a candidate whose plan is known; plan is the number of its request.
func (r *rig) applied() (c *super, plan uint64) {
	r.t.Helper()
	c = r.briefed()
	return c, c.send(protocol.TPlan, protocol.Plan{Version: "next", Leave: []string{"a"}})
}

// retire waits until a supervisor is asked to make room.
func (s *super) retire() {
	s.t.Helper()
	for {
		switch m := s.receive(); m.Type {
		case protocol.TEvent:
			s.keep(m)
		case protocol.TRetire:
			return
		default:
			s.t.Fatalf("got %s, want to be asked to retire", m.Type)
		}
	}
}

// granted waits for the epoch of a candidate and makes it the newest supervisor.
func (r *rig) granted(c *super, plan uint64) recovery {
	r.t.Helper()
	m := c.answer(plan)
	if m.Type != protocol.TWelcome {
		r.t.Fatalf("the plan was answered by %s %s", m.Type, m.Body)
	}
	var w protocol.Welcome
	into(r.t, m, &w)
	if w.Epoch == 0 {
		r.t.Fatal("no epoch was granted")
	}
	c.epoch = w.Epoch
	if r.now != c {
		r.now.close()
	}
	r.now = c
	return c.recover()
}

// reloaded is a whole reload that works.
func (r *rig) reloaded() *super {
	r.t.Helper()
	old := r.now
	r.hup()
	c, plan := r.applied()
	old.retire()
	old.exit(0)
	r.granted(c, plan)
	c.send(protocol.TReady, nil)
	c.told(protocol.EventReloaded, "done in")
	return c
}

func (s *super) told(kind protocol.EventKind, text string, allowed ...protocol.EventKind) told {
	s.t.Helper()
	e := s.event(kind, allowed...)
	if !strings.Contains(e.Text, text) {
		s.t.Errorf("%s says %q, want %q", kind, e.Text, text)
	}
	s.send(protocol.TAck, protocol.Ack{Seq: e.Seq})
	return e
}

// stays: the one in charge goes on, and a reload is possible once more.
func (r *rig) stays(s *super, why string) {
	r.t.Helper()
	s.told(protocol.EventRefused, why)
	c := s.start(shell("b", "exec sleep 1000"))
	s.killed(c.id)
	s.send(protocol.TAck, protocol.Ack{Seq: 1 << 60})
	r.reloaded()
}

func TestReload(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	a := s.start(shell("a", "exec sleep 1000"))
	s.ok(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("note")})
	r.hup()
	c, plan := r.applied()
	s.retire()
	s.ok(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("newer")}) // it still is in charge
	s.exit(0)
	rec := r.granted(c, plan)
	got := rec.children[a.id]
	if got.Started.PID != a.PID || got.Exit != nil || len(rec.childFDs[a.id]) != 3 || rec.notes["a"] != "newer" {
		t.Errorf("recovered %+v with %v, note %q", got, rec.childFDs[a.id], rec.notes["a"])
	}
	c.send(protocol.TReady, nil)
	e := c.told(protocol.EventReloaded, "left 1")
	if e.Plan == nil || e.Plan.Version != "next" {
		t.Errorf("plan %+v", e.Plan)
	}
	c.killed(a.id)
}

// TestReloadAgainAndAgain: each has the version of the one before.
func TestReloadAgainAndAgain(t *testing.T) {
	setBounds(t, testedBounds{Gap: time.Millisecond})
	r := newRig(t, 0)
	r.charge()
	for range 5 {
		r.reloaded()
	}
	r.now.crash()
	if w := r.next().hello(); w.Former != "test" || w.Epoch != 7 {
		t.Errorf("welcomed by %+v", w)
	}
	r.now.send(protocol.TReady, nil)
}

func TestCandidateRefuses(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	r.hup()
	r.briefed().send(protocol.TPlan, protocol.Plan{Refused: "vigil.toml:3:1: no"})
	r.stays(s, "vigil.toml:3:1: no")
}

// TestCandidateFails in every way and at every point before it has an epoch:
// nothing has happened.
func TestCandidateFails(t *testing.T) {
	points := map[string]func(*rig) *super{
		"before hello":  (*rig).candidate,
		"after hello":   func(r *rig) *super { c := r.candidate(); c.hello(); return c },
		"after recover": (*rig).briefed,
	}
	ways := map[string]struct {
		do  func(*testing.T, *super)
		why string
	}{
		"exits":   {func(_ *testing.T, c *super) { c.exit(3) }, "status 3"},
		"crashes": {func(_ *testing.T, c *super) { c.crash() }, "signal KILL"},
		"hangs":   {func(*testing.T, *super) {}, "not ready within 700ms"},
		"sends an unknown type": {func(t *testing.T, c *super) {
			if err := c.conn.Send(protocol.Message{Type: protocol.Type(40)}); err != nil {
				t.Fatal(err)
			}
		}, "does not speak our protocol"},
		"speaks another protocol": {func(_ *testing.T, c *super) {
			c.send(protocol.THello, protocol.Hello{Protocol: protocol.Version + 1, Version: "9.9"})
		}, "version 9.9 speaks protocol 2, this keeper 1"},
		"sends a hello that is none": {func(_ *testing.T, c *super) { c.send(protocol.THello, []int{1}) }, "cannot"},
		"sends a plan that is none": {func(_ *testing.T, c *super) {
			c.send(protocol.THello, protocol.Hello{Protocol: protocol.Version, Version: "x"})
			c.send(protocol.TPlan, []int{1})
		}, "cannot"},
	}
	for point, reach := range points {
		for way, fail := range ways {
			t.Run(way+" "+point, func(t *testing.T) {
				b := testedBounds{Gap: time.Millisecond}
				if way == "hangs" {
					b.Candidate = 700 * time.Millisecond
				}
				setBounds(t, b)
				r := newRig(t, 0)
				s, _ := r.charge()
				r.hup()
				fail.do(t, reach(r))
				if way == "hangs" {
					s.told(protocol.EventRefused, fail.why)
					return // the next one may be too slow for such a bound
				}
				r.stays(s, fail.why)
			})
		}
	}
}

// TestCandidateMayNotAct: it has no epoch, whatever it claims.
func TestCandidateMayNotAct(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	a := s.start(shell("a", "exec sleep 1000"))
	r.hup()
	c := r.briefed()
	for _, epoch := range []uint64{0, 1, 2} {
		c.epoch = epoch
		for typ, body := range map[protocol.Type]any{
			protocol.TStart: shell("b", "true"), protocol.TKill: protocol.Kill{ID: a.id}, protocol.TQuit: protocol.Quit{},
			protocol.TPutNote: protocol.Note{Key: "a", Text: []byte("x")}, protocol.TRelease: protocol.Name{Name: a.id},
			protocol.TSignal: protocol.Signal{ID: a.id, Number: 9}, protocol.TDropFile: protocol.Name{Name: "f"},
			protocol.TReady: nil, protocol.TAck: protocol.Ack{Seq: 99}, protocol.TReload: nil,
		} {
			if got := c.reply(typ, body); got.Code != "fenced" {
				t.Errorf("%s with epoch %d: %+v", typ, epoch, got)
			}
		}
	}
	if !lives(a.PID) {
		t.Error("the service is gone")
	}
	plan := c.send(protocol.TPlan, protocol.Plan{})
	s.retire()
	if got := c.reply(protocol.TPlan, protocol.Plan{}); got.Code != "failed" {
		t.Errorf("a second plan: %+v", got)
	}
	s.exit(0)
	if rec := r.granted(c, plan); len(rec.notes) != 0 || len(rec.children) != 1 {
		t.Errorf("recovered %+v", rec)
	}
	c.send(protocol.TReady, nil)
	c.told(protocol.EventReloaded, "")
	c.killed(a.id)
}

// TestCandidateDiesWhileTheOldOneRetires: another is started as after a crash.
func TestCandidateDiesWhileTheOldOneRetires(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	r.hup()
	c, _ := r.applied()
	s.retire()
	c.crash()
	s.told(protocol.EventRefused, "signal KILL before it was ready")
	s.exit(0)
	if w := r.next().hello(); w.Beginning != protocol.BeginAgain || w.Epoch != 2 {
		t.Errorf("welcomed by %+v", w)
	}
	r.now.send(protocol.TReady, nil)
}

// TestTakeoverFails: the version before comes back, with its configuration.
func TestTakeoverFails(t *testing.T) {
	for way, fail := range map[string]func(*super){
		"exits":   func(c *super) { c.exit(2) },
		"crashes": func(c *super) { c.crash() },
		"hangs":   func(*super) {},
	} {
		t.Run(way, func(t *testing.T) {
			if way == "hangs" {
				setBounds(t, testedBounds{Takeover: 300 * time.Millisecond})
			}
			r := newRig(t, 0)
			s := r.next()
			s.hello()
			s.recover()
			s.sendFiles(protocol.TReady, nil, file(t, "first configuration"))
			a := s.start(shell("a", "exec sleep 1000"))
			r.hup()
			c, plan := r.applied()
			s.retire()
			s.exit(0)
			r.granted(c, plan)
			fail(c)
			next := r.next()
			if w := next.hello(); w.Beginning != protocol.BeginAgain || w.Epoch != 3 || w.Former != "test" {
				t.Errorf("welcomed by %+v", w)
			}
			rec := next.recover()
			if got := content(t, rec.files[protocol.ConfigFile]); got != "first configuration" {
				t.Errorf("configuration %q", got)
			}
			next.send(protocol.TReady, nil)
			next.told(protocol.EventRefused, "the version before is started again")
			next.killed(a.id)
		})
	}
}

// TestProbation: one end of a new supervisor is an accident, the third in a row
// is a bad version.
func TestProbation(t *testing.T) {
	r := newRig(t, 0)
	s := r.next()
	s.hello()
	s.recover()
	s.sendFiles(protocol.TReady, nil, file(t, "good"))
	r.hup()
	c, plan := r.applied()
	s.retire()
	s.exit(0)
	r.granted(c, plan)
	c.sendFiles(protocol.TReady, nil, file(t, "bad"))
	c.told(protocol.EventReloaded, "")
	for n, want := range []string{"bad", "bad", "good"} {
		r.now.crash()
		next := r.next()
		next.hello()
		if got := content(t, next.recover().files[protocol.ConfigFile]); got != want {
			t.Fatalf("after %d crashes the configuration is %q, want %q", n+1, got, want)
		}
		next.send(protocol.TReady, nil)
	}
	r.now.told(protocol.EventRefused, "crashed 3 times")
	r.now.crash() // and it is no longer about that reload
	r.next().hello()
	if got := content(t, r.now.recover().files[protocol.ConfigFile]); got != "good" {
		t.Errorf("configuration %q", got)
	}
	r.now.send(protocol.TReady, nil)
}

// TestProbationEnds: a version that has lived long enough is not withdrawn.
func TestProbationEnds(t *testing.T) {
	setBounds(t, testedBounds{Probation: time.Nanosecond})
	r := newRig(t, 0)
	s := r.next()
	s.hello()
	s.sendFiles(protocol.TReady, nil, file(t, "first"))
	r.hup()
	c, plan := r.applied()
	s.retire()
	s.exit(0)
	r.granted(c, plan)
	c.sendFiles(protocol.TReady, nil, file(t, "second"))
	c.told(protocol.EventReloaded, "")
	for range maxCrashes + 1 {
		r.now.crash()
		r.next().hello()
		if got := content(t, r.now.recover().files[protocol.ConfigFile]); got != "second" {
			t.Fatalf("configuration %q", got)
		}
		r.now.send(protocol.TReady, nil)
	}
}

func TestOldOneDoesNotRetire(t *testing.T) {
	setBounds(t, testedBounds{Retire: 300 * time.Millisecond})
	r := newRig(t, 0)
	s, _ := r.charge()
	r.hup()
	c, plan := r.applied()
	s.retire()
	r.granted(c, plan) // the old one was killed
	c.send(protocol.TReady, nil)
	c.told(protocol.EventReloaded, "")
	if lives(s.pid) {
		t.Error("the old supervisor lives")
	}
}

// TestOldOneDies while the candidate gets ready: nobody else is started.
func TestOldOneDies(t *testing.T) {
	for name, reach := range map[string]func(*rig) *super{"before hello": (*rig).candidate, "after recover": (*rig).briefed} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			s, _ := r.charge()
			r.hup()
			c := reach(r)
			s.crash()
			<-goneOf(s)
			if name == "before hello" {
				c.hello()
				c.recover()
			}
			r.granted(c, c.send(protocol.TPlan, protocol.Plan{}))
			c.send(protocol.TReady, nil)
			c.told(protocol.EventReloaded, "")
		})
	}
}

// goneOf is closed once the keeper has let a supervisor's connection go.
func goneOf(s *super) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range s.in {
			m.CloseFiles()
		}
	}()
	return done
}

// TestOldOneDiesAndCandidateRefuses: the one before is started again.
func TestOldOneDiesAndCandidateRefuses(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	r.hup()
	c := r.briefed()
	s.crash()
	<-goneOf(s)
	c.send(protocol.TPlan, protocol.Plan{Refused: "no"})
	next := r.next()
	if w := next.hello(); w.Beginning != protocol.BeginAgain {
		t.Errorf("welcomed by %+v", w)
	}
	next.send(protocol.TReady, nil)
	next.told(protocol.EventRefused, "no")
}

// TestReloadBeforeTheFirstIsReady: one that recovers is not asked to retire
// until it understands that.
func TestReloadBeforeTheFirstIsReady(t *testing.T) {
	r := newRig(t, 0)
	s := r.next()
	s.hello()
	r.hup()
	c, plan := r.applied()
	s.recover() // fails if it is told of its retirement meanwhile
	s.send(protocol.TReady, nil)
	s.retire()
	s.exit(0)
	r.granted(c, plan)
	c.send(protocol.TReady, nil)
	c.told(protocol.EventReloaded, "")
}

// TestTermDuringReload at each stage: it is told to whoever is in charge then.
func TestTermDuringReload(t *testing.T) {
	t.Run("trying", func(t *testing.T) {
		r := newRig(t, 0)
		s, _ := r.charge()
		r.hup()
		c := r.briefed()
		r.signal(unix.SIGTERM)
		s.told(protocol.EventRefused, "asked to stop", protocol.EventSignal)
		<-goneOf(c)
		s.event(protocol.EventSignal)
	})
	t.Run("waiting", func(t *testing.T) {
		r := newRig(t, 0)
		s, _ := r.charge()
		r.hup()
		c, plan := r.applied()
		s.retire()
		r.signal(unix.SIGTERM)
		s.exit(0)
		r.granted(c, plan)
		c.send(protocol.TReady, nil)
		c.event(protocol.EventSignal, protocol.EventReloaded)
	})
	t.Run("taking", func(t *testing.T) {
		r := newRig(t, 0)
		s, _ := r.charge()
		r.hup()
		c, plan := r.applied()
		s.retire()
		s.exit(0)
		r.granted(c, plan)
		r.signal(unix.SIGTERM)
		c.send(protocol.TReady, nil)
		c.event(protocol.EventSignal, protocol.EventReloaded)
	})
}

// TestQuitDuringReload: nobody is left.
func TestQuitDuringReload(t *testing.T) {
	for name, reach := range map[string]func(*rig) *super{
		"at once":       func(*rig) *super { return nil },
		"before hello":  (*rig).candidate,
		"after recover": (*rig).briefed,
		"waiting":       func(r *rig) *super { c, _ := r.applied(); r.now.retire(); return c },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			r.charge()
			r.hup()
			c := reach(r)
			r.now.ok(protocol.TQuit, protocol.Quit{Status: 5})
			if c != nil {
				<-goneOf(c) // it is killed before the one in charge has ended
			}
			r.now.exit(0)
			r.wait(5)
		})
	}
}

// TestHUPsDuringReload: any number of them is one more reload, after the gap.
func TestHUPsDuringReload(t *testing.T) {
	const gap = 300 * time.Millisecond
	setBounds(t, testedBounds{Gap: gap})
	r := newRig(t, 0)
	s, _ := r.charge()
	r.hup()
	c, plan := r.applied()
	for range 100 {
		r.hup()
	}
	s.retire()
	s.exit(0)
	r.granted(c, plan)
	c.send(protocol.TReady, nil)
	c.told(protocol.EventReloaded, "")
	over := time.Now()
	second, plan := r.applied()
	if d := time.Since(over); d < gap/2 {
		t.Errorf("the next reload came after %v", d)
	}
	c.retire()
	c.exit(0)
	r.granted(second, plan)
	second.send(protocol.TReady, nil)
	second.told(protocol.EventReloaded, "")
	// No third one: with a gap like that it would come now.
	if err := r.ln.SetDeadline(time.Now().Add(2 * gap)); err != nil {
		t.Fatal(err)
	}
	if third, err := r.ln.AcceptUnix(); err == nil {
		third.Close()
		t.Error("a third reload")
	}
}

// TestEventsOverReload: what the old one did not acknowledge the new one is
// told; what ends between the two is not lost.
func TestEventsOverReload(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	a := s.start(shell("a", "read x; exit 7"))
	b := s.start(shell("b", "exec sleep 1000"))
	r.hup()
	c, plan := r.applied()
	s.retire()
	_ = unix.Kill(b.PID, unix.SIGKILL)
	s.event(protocol.EventExited) // and it does not acknowledge it
	s.exit(0)
	m := c.answer(plan)
	_ = unix.Kill(a.PID, unix.SIGKILL)
	var w protocol.Welcome
	into(t, m, &w)
	c.epoch = w.Epoch
	s.close()
	r.now = c
	c.recover()
	c.send(protocol.TReady, nil)
	seen := map[string]int{}
	for range 2 {
		e := c.event(protocol.EventExited, protocol.EventEmpty, protocol.EventReloaded)
		seen[e.Key]++
	}
	if seen["a"] != 1 || seen["b"] != 1 {
		t.Errorf("ends told: %v", seen)
	}
}

// TestOldEpochIsFenced: words of the old one that arrive late count for nothing.
func TestOldEpochIsFenced(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	old := s.epoch
	c := r.reloaded()
	c.epoch = old
	if got := c.reply(protocol.TPutNote, protocol.Note{Key: "a", Text: []byte("old")}); got.Code != "fenced" {
		t.Errorf("%+v", got)
	}
	c.epoch = old + 1
	if rec := c.recover(); len(rec.notes) != 0 {
		t.Errorf("notes %v", rec.notes)
	}
}

// file is a descriptor of a file with that text.
func file(t *testing.T, text string) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.Pwrite(fd, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
	return fd
}

func content(t *testing.T, fd int) string {
	t.Helper()
	b := make([]byte, 100)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}
