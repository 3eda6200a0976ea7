package supervisor

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/openfiles"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// bench is a supervisor without its loop, and the keeper's end of its socket.
// The services are this process, which no signal is sent to.
type bench struct {
	t      *testing.T
	s      *Supervisor
	keeper *protocol.Conn
}

func newBench(t *testing.T, services ...config.Service) *bench {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	link, err := newKeeperLink(os.NewFile(uintptr(fds[0]), "supervisor"))
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := protocol.NewConn(os.NewFile(uintptr(fds[1]), "keeper"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); _ = link.conn.Close(); _ = keeper.Close() })
	s := &Supervisor{log: zap.NewNop(), keeper: link, services: map[string]*service{}, tasks: make(chan func(), maxTasks), ctx: ctx, cancel: cancel}
	for _, cfg := range services {
		v := &service{s: s, cfg: cfg, life: lifecycle.Service{State: lifecycle.Running, Alive: true, Instance: 1}}
		v.started.PID = os.Getpid()
		s.services[cfg.Name] = v
		s.names = append(s.names, cfg.Name)
	}
	return &bench{t, s, keeper}
}

// work runs n tasks of the loop.
func (b *bench) work(n int) {
	b.t.Helper()
	for range n {
		select {
		case task := <-b.s.tasks:
			task()
		case <-time.After(20 * time.Second):
			b.t.Fatal("no task came")
		}
	}
}

// sent answers n requests for signals, and returns them in order.
func (b *bench) sent(n int, refusal string) (list []protocol.Signal) {
	b.t.Helper()
	for range n {
		m, err := b.keeper.Receive()
		if err != nil {
			b.t.Fatal(err)
		}
		var one protocol.Signal
		if err := m.Into(&one); err != nil || m.Type != protocol.TSignal || one.Scope != protocol.ScopeMain {
			b.t.Fatalf("got %s %+v, %v", m.Type, one, err)
		}
		list = append(list, one)
		answer, err := protocol.Make(protocol.TReply, m.ID, m.Epoch, protocol.Reply{Error: refusal})
		if err != nil {
			b.t.Fatal(err)
		}
		b.s.keeper.answered(answer)
	}
	slices.SortFunc(list, func(a, c protocol.Signal) int { return strings.Compare(a.ID, c.ID) })
	return list
}

func (b *bench) saw(text string) bool {
	return slices.ContainsFunc(b.s.events.list, func(e control.Event) bool { return strings.Contains(e.Service+": "+e.Text, text) })
}

func handle(t *testing.T, sig os.Signal) {
	t.Helper()
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, sig)
	t.Cleanup(func() { signal.Stop(ch) })
}

// quiet starts a process that has no handlers.
func quiet(t *testing.T) int {
	t.Helper()
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill(); _, _ = p.Wait() })
	return p.Pid
}

func TestReloadSignals(t *testing.T) {
	handle(t, syscall.SIGUSR2)
	b := newBench(t,
		config.Service{Name: "asks", ReloadSignal: syscall.SIGUSR2}, config.Service{Name: "fresh", ReloadSignal: syscall.SIGUSR2},
		config.Service{Name: "plain"}, config.Service{Name: "going", ReloadSignal: syscall.SIGUSR2},
		config.Service{Name: "deaf", ReloadSignal: syscall.SIGUSR1})
	b.s.services["going"].life.State = lifecycle.Stopping
	b.s.services["deaf"].started.PID = quiet(t)
	b.s.sendReloadSignals(map[string]bool{"fresh": true})
	b.work(2)
	if got := b.sent(1, ""); got[0].ID != "asks#1" || got[0].Number != int(syscall.SIGUSR2) {
		t.Errorf("got %+v", got)
	}
	if !b.saw("asks: sent USR2 by vigil (reload_signal)") || !b.saw("deaf: reload_signal USR1 was not sent: ") || !b.saw("no handler for it and would be ended") {
		t.Errorf("events %+v", b.s.events.list)
	}
}

func TestForward(t *testing.T) {
	b := newBench(t, config.Service{Name: "term", Forward: []syscall.Signal{syscall.SIGWINCH}}, config.Service{Name: "web"})
	// HUP is for whoever asks for it by reload_signal, and never passed on.
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGCONT} {
		if b.s.forwardSignal(sig) {
			t.Errorf("%v was passed on", sig)
		}
	}
	b.s.onSignal(protocol.Event{Number: int(syscall.SIGWINCH)})
	b.work(1)
	if got := b.sent(1, "cannot signal: no such process"); got[0].ID != "term#1" || got[0].Number != int(syscall.SIGWINCH) {
		t.Errorf("got %+v", got)
	}
	if !b.saw("term: forward WINCH was not sent: cannot signal") {
		t.Errorf("events %+v", b.s.events.list)
	}
	b.s.services["term"].life.State = lifecycle.Freezing
	if !b.s.forwardSignal(syscall.SIGWINCH) || len(b.s.tasks) != 0 {
		t.Error("a service that is being captured got a signal")
	}
}

func TestSendTo(t *testing.T) {
	b := newBench(t, config.Service{Name: "web"}, config.Service{Name: "off"})
	b.s.services["off"].life = lifecycle.Service{State: lifecycle.Stopped}
	var got []control.SignalResult
	b.s.sendTo([]string{"off", "web"}, syscall.SIGTERM, control.Caller{PID: 12, UID: 7, Command: "bash"}, func(r control.SignalResult) { got = append(got, r) })
	b.sent(1, "")
	if len(got) != 2 || !got[0].Absent || got[0].Error == "" || got[1].Error != "" || got[1].PID != os.Getpid() {
		t.Errorf("got %+v", got)
	}
	if !b.saw("web: sent TERM by pid 12 (bash) uid 7") {
		t.Errorf("events %+v", b.s.events.list)
	}
	err := b.s.knowAll("signal", []string{"web", "wbe"})
	if !errors.Is(err, control.ErrNotFound) || !strings.Contains(err.Error(), `did you mean "web"?`) {
		t.Errorf("error %v", err)
	}
}

// TestRounds: requests that come while a round begins are one further round.
func TestRounds(t *testing.T) {
	b := newBench(t)
	log, err := openCapped(t.TempDir()+"/vigil.log", maxLog)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.f.Close() }()
	b.s.ownLog, b.s.welcome.KeeperPID = log, os.Getpid()
	answers := 0
	for range 20 {
		b.s.reopen(nil, func(r control.Reopened) {
			if !r.Good() {
				t.Errorf("got %+v", r)
			}
			answers++
		})
	}
	b.work(4) // two rounds: each tells when it has begun and when it is over
	if answers != 20 || len(b.s.tasks) != 0 || b.s.reopens.underWay != 0 || b.s.reopens.next != nil {
		t.Errorf("%d answers, %d tasks, %+v", answers, len(b.s.tasks), b.s.reopens)
	}
}

func TestNames(t *testing.T) {
	a, c := openfiles.ID{Ino: 1}, openfiles.ID{Ino: 2}
	var r reopens
	r.learn(map[openfiles.ID]string{a: "a.log", c: "c.log"})
	r.replace(map[openfiles.ID]string{a: "a.log.1"})
	if len(r.names) != 1 || r.names[a] != "a.log" {
		t.Errorf("names %v", r.names)
	}
	r.learn(map[openfiles.ID]string{c: "d.log"})
	if len(r.names) != 2 || r.names[c] != "d.log" {
		t.Errorf("names %v", r.names)
	}
}

func TestOnly(t *testing.T) {
	all := control.Reopened{Services: []control.ReopenedService{{Service: "a"}, {Service: "b", Error: "full"}}, Stale: []control.Stale{{Service: "b"}, {}}}
	if part := only(all, []string{"a"}); len(part.Services) != 1 || len(part.Stale) != 1 || part.Good() {
		t.Errorf("got %+v", part)
	}
	if part := only(all, nil); len(part.Services) != 2 || len(part.Stale) != 2 || part.Good() {
		t.Errorf("got %+v", part)
	}
}
