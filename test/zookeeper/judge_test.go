package zookeeper

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// The judge of threads alone, without a supervisor, on a real server.
func TestJudgeStandalone(t *testing.T) {
	requireAgent(t)
	for _, tt := range []struct {
		thread string // its name begins with that
		sign   string // of the verdict
	}{
		{"ProcessThread", "no thread of `ProcessThread*` ("},
		{"SyncThread", "no thread of `SyncThread:*` ("},
		{"RequestThrottler", "no thread of `RequestThrottle` ("},
	} {
		t.Run("frozen "+tt.thread, func(t *testing.T) {
			t.Parallel()
			s := alone(t)
			j := s.run(t, "-Xmx128m")
			s.serves(t, "/first")
			w := s.watch(t, j.pid())
			w.serves(2)
			fault(t, j.pid(), "suspend:"+tt.thread)
			begin := clock.Boot()
			v := w.confirmed(begin)
			if v.Cause != snapshot.CauseThreadStuck || !strings.HasPrefix(v.Text, tt.sign) {
				t.Errorf("%s: %s", v.Cause, v.Text)
			}
			fault(t, j.pid(), "resume:"+tt.thread)
			w.serves(1)
			if e, ok := w.evidence(); ok {
				t.Errorf("after the thread goes on: %s", e)
			}
		})
	}
}

func (w *watch) evidence() (string, bool) {
	w.end() // the rules are its own until then
	e, ok := w.rules.Evidence()
	return e.Text, ok
}

// The story: one packet kills the request thread, which nobody notices.
func TestJudgePoisonedStandalone(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	s := alone(t)
	j := s.run(t, "-Xmx128m", "-Djute.maxbuffer=1000000000")
	s.serves(t, "/first")
	w := s.watch(t, j.pid())
	w.serves(2)
	fault(t, j.pid(), "silence:ProcessThread")
	begin := clock.Boot()
	if err := s.poison(500 * time.Millisecond); err == nil {
		t.Fatal("the server has ended")
	}
	v := w.confirmed(begin)
	if v.Cause != snapshot.CauseThreadLost || !strings.HasPrefix(v.Text, "thread `ProcessThread*` is gone: last seen as tid ") {
		t.Errorf("%s: %s", v.Cause, v.Text)
	}
	if mode, err := s.mode(); err != nil || mode != "standalone" {
		t.Errorf("srvr says %q, %v", mode, err)
	}
}

// ensemble is three servers that nobody supervises.
type ensemble struct {
	t     *testing.T
	jvms  []*jvm
	watch []*watch
}

func newEnsemble(t *testing.T) *ensemble {
	t.Helper()
	e := &ensemble{t: t}
	for _, s := range three(t) {
		e.jvms = append(e.jvms, s.run(t, "-Xmx128m"))
	}
	for _, j := range e.jvms {
		j.serves(t, "/first")
	}
	for _, j := range e.jvms {
		e.watch = append(e.watch, j.server.watch(t, j.pid()))
	}
	for _, w := range e.watch {
		w.serves(2)
	}
	return e
}

// leader returns the one that leads, and the others.
func (e *ensemble) leader() (leader int, others []int) {
	e.t.Helper()
	eventually(e.t, mostServe, "a leader", func() error {
		leader, others = -1, nil
		for i, j := range e.jvms {
			if mode, err := j.mode(); err == nil && mode == "leader" {
				leader = i
			} else {
				others = append(others, i)
			}
		}
		if leader < 0 {
			return errors.New("nobody leads")
		}
		return nil
	})
	return leader, others
}

func TestJudgeEnsemble(t *testing.T) {
	requireAgent(t)
	for _, tt := range []struct{ thread, sign string }{
		{"ProcessThread", "no thread of `ProcessThread*` ("},
		{"SyncThread", "no thread of `SyncThread:*` ("},
		{"CommitProcessor", "no thread of `CommitProcessor` ("},
	} {
		t.Run("frozen "+tt.thread, func(t *testing.T) {
			t.Parallel()
			e := newEnsemble(t)
			leader, others := e.leader()
			fault(t, e.jvms[leader].pid(), "suspend:"+tt.thread)
			begin := clock.Boot()
			v := e.watch[leader].confirmed(begin)
			if v.Cause != snapshot.CauseThreadStuck || !strings.HasPrefix(v.Text, tt.sign) {
				t.Errorf("%s: %s", v.Cause, v.Text)
			}
			// As long again: the others have the canary that hangs, and no guilt.
			<-time.After(2 * watchWithin)
			for _, i := range others {
				e.watch[i].quiet(fmt.Sprintf("with %s of the leader frozen", tt.thread))
			}
		})
	}
}

func TestJudgeElection(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	e := newEnsemble(t)
	old, others := e.leader()
	e.watch[old].end()
	e.jvms[old].kill()
	for _, i := range others {
		e.watch[i].serves(3)
	}
	j := e.jvms[old].server.run(t, "-Xmx128m")
	j.serves(t, "/first")
	w := j.server.watch(t, j.pid())
	w.serves(4)
	for _, w := range append([]*watch{w}, e.watch...) {
		w.quiet("after an election")
	}
}

func TestJudgeIdle(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	e := newEnsemble(t)
	s := alone(t)
	j := s.run(t, "-Xmx128m")
	s.serves(t, "/first")
	e.watch = append(e.watch, s.watch(t, j.pid()))
	<-time.After(30 * time.Second)
	for _, w := range e.watch {
		w.quiet("idle")
		w.end()
		t.Log(w.rules.List(clock.Boot()))
	}
}
