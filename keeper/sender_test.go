package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/signals"
)

// TestSenderIsOfTheService: libgimli's signals are known for those of a service,
// and of which instance, whoever of its tree sends them: the main process, a child
// of it, and one whose parent has gone.
func TestSenderIsOfTheService(t *testing.T) {
	for _, uid := range []uint32{0, 65534} { // with a cgroup, if there is one, and without
		t.Run(fmt.Sprintf("uid %d", uid), func(t *testing.T) {
			if uid != 0 && os.Geteuid() != 0 {
				t.Skip("needs root, to run the keeper as a user that can make no cgroup")
			}
			r := newRig(t, uid)
			s, _ := r.charge()
			dir := t.TempDir()
			for _, d := range []string{filepath.Dir(dir), dir} {
				if err := os.Chmod(d, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			st := shell("a", `mkfifo main child orphan
				K=$PPID; export K
				(read x < child; kill -USR2 $K; sleep 1000) &
				sh -c '(read x < orphan; kill -USR2 $K; sleep 1000) &'
				echo up; read x < main; kill -USR2 $K; exec sleep 1000`)
			st.Dir, st.Instance = dir, 7
			c := s.start(st)
			if c.line(t) != "up" {
				t.Fatal("not up")
			}
			for _, who := range []string{"main", "child", "orphan"} {
				if err := os.WriteFile(filepath.Join(dir, who), []byte("go\n"), 0); err != nil {
					t.Fatal(err)
				}
				e := s.event(protocol.EventSignal)
				if e.Key != "a" || e.Inst != 7 || e.Number != int(unix.SIGUSR2) || e.Name != signals.Capture {
					t.Errorf("%s: %+v", who, e.Event)
				}
			}
			s.killed(c.id)
		})
	}
}

// TestStopInTheFirstMoment: one that comes before the start is announced is told
// all the same.
func TestStopInTheFirstMoment(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	for n := range uint64(20) {
		st := shell("a", "kill -STOP $$; echo on; exec sleep 1000")
		st.Instance = n + 1
		c := s.start(st)
		if e := s.event(protocol.EventStopped); e.Number != int(unix.SIGSTOP) || e.Inst != st.Instance {
			t.Fatalf("%+v", e.Event)
		}
		s.ok(protocol.TSignal, protocol.Signal{ID: c.id, Number: int(unix.SIGCONT), Scope: protocol.ScopeMain})
		s.event(protocol.EventContinued)
		if c.line(t) != "on" {
			t.Fatal("it did not go on")
		}
		s.killed(c.id)
	}
}
