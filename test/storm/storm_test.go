package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The storm of `make test` is short; `make storm` sets these.
const (
	envTime = "VIGIL_STORM_TIME" // as 3m
	envSeed = "VIGIL_STORM_SEED" // a number; without it a new one, which is told
)

const (
	shortTime = 5 * time.Second
	roundTime = 10 * time.Second // then everything has to come to rest
)

// long reports whether this is `make storm`.
func long() bool { return os.Getenv(envTime) != "" }

// storm is everything at once.
type storm struct {
	v    *vigil
	seed uint64
	over context.Context
	done tally

	mu    sync.Mutex
	valid configuration // the last valid one that was written
	marks int

	rounds uint64
}

func stormTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(envTime)
	if text == "" {
		return shortTime
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func stormSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64() >> 1
	if text := os.Getenv(envSeed); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("seed %d (repeat it: %s=%d make storm)", seed, envSeed, seed)
	return seed
}

func TestStorm(t *testing.T) {
	t.Parallel()
	length, begin := stormTime(t), time.Now()
	s := &storm{seed: stormSeed(t), valid: initial()}
	s.v = makePlace(t, vigilBinary, s.valid)
	v := s.v
	v.install()
	v.launch()
	v.eventually("the first start", v.runs(s.valid))
	pid, _ := v.newest(still)
	w := &watcher{v: v, pid: pid}
	for left := length; left > 0; left = length - time.Since(begin) {
		s.round(w, min(left, roundTime))
		s.settle()
		s.account()
	}
	t.Logf("survived in %v: %v; epoch %d", time.Since(begin).Round(time.Second), &s.done, w.last.Epoch)
	if err := v.bounded(); err != nil {
		t.Error(err)
	}
	v.untouched(pid)
	v.end()
	kills := s.done.get("supervisors killed") + s.done.get("supervisors stopped")
	if lost := v.complete(still); lost > kills*linesPerKill {
		t.Errorf("%d lines of %s are lost, with %d supervisors killed", lost, still, kills)
	}
}

// linesPerKill is how many lines a killed supervisor may take with it: what it
// had read and not yet written. Here a line comes every 10 ms.
const linesPerKill = 20

// round is a storm of a time, under the eyes of w.
func (s *storm) round(w *watcher, length time.Duration) {
	var cancel context.CancelFunc
	s.over, cancel = context.WithTimeout(context.Background(), length)
	defer cancel()
	s.rounds++
	stop, wrong := make(chan struct{}), make(chan error, 1)
	go func() {
		err := w.watch(stop)
		if err != nil {
			cancel()
		}
		wrong <- err
	}()
	s.rage()
	close(stop)
	if err := <-wrong; err != nil {
		s.v.t.Fatalf("%v\n%s", err, s.v.tail())
	}
}

// rage lets everything loose and returns when all of it is over.
func (s *storm) rage() {
	actors := []struct {
		name  string
		pause time.Duration // longest, between two of its deeds
		do    func(*rand.Rand)
	}{
		{"configurations", 150 * time.Millisecond, s.edit},
		{"second instances", 300 * time.Millisecond, s.second},
		{"reopens", 200 * time.Millisecond, s.reopen},
		{"reloads asked for", 100 * time.Millisecond, s.reload},
		{"supervisors killed", 1500 * time.Millisecond, s.killSupervisor},
		{"supervisors stopped", 8 * time.Second, s.stopSupervisor},
		{"services killed", 200 * time.Millisecond, s.killService},
		{"programs", 3 * time.Second, s.upgrade},
		{"times the disk was full", 2 * time.Second, s.fill},
	}
	var all sync.WaitGroup
	for i, a := range actors {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(s.seed, s.rounds<<8|uint64(i)))
			for s.pause(rnd, a.pause) {
				a.do(rnd)
			}
		})
	}
	for i := range 3 {
		all.Go(func() { s.send(uint64(i)) })
	}
	all.Wait()
}

// pause reports false when the storm is over.
func (s *storm) pause(rnd *rand.Rand, most time.Duration) bool {
	timer := time.NewTimer(time.Duration(rnd.Int64N(int64(most))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.over.Done():
		return false
	}
}

// send lets one process after the other send signals.
func (s *storm) send(which uint64) {
	list := []syscall.Signal{unix.SIGHUP, unix.SIGHUP, unix.SIGHUP, unix.SIGUSR1, unix.SIGQUIT, unix.SIGWINCH}
	for round := uint64(0); s.over.Err() == nil; round++ {
		left := time.Second
		if end, ok := s.over.Deadline(); ok {
			left = min(left, time.Until(end))
		}
		sent, err := shoot(volley{PID: s.v.pid(), Seed: s.seed + s.rounds<<40 + which<<32 + round, Signals: list, Time: max(left, 1), Pause: 30 * time.Millisecond})
		if err != nil {
			s.v.t.Error(err)
			return
		}
		for n, count := range sent {
			s.done.add(unix.SignalName(syscall.Signal(n))+" sent", count)
		}
	}
}

// edit writes a valid or a broken configuration.
func (s *storm) edit(rnd *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rnd.IntN(4) == 0 {
		s.v.write(broken[rnd.IntN(len(broken))])
		s.done.add("broken configurations", 1)
		return
	}
	c := initial().with(victim, "0")
	for i := range 4 {
		if rnd.IntN(2) == 0 {
			c = c.with(fmt.Sprintf("extra%d", i), strconv.Itoa(rnd.IntN(2)))
		}
	}
	s.apply(c)
}

// apply writes a valid configuration with a mark of its own.
func (s *storm) apply(c configuration) {
	s.marks++
	s.valid = c.with(marked, strconv.Itoa(s.marks/5))
	s.v.configure(s.valid)
	s.done.add("valid configurations", 1)
}

// second starts another vigil of the same name, which must be refused.
func (s *storm) second(*rand.Rand) {
	code, said := s.v.command("up", s.v.path("vigil.toml"))
	if code != 100 || !strings.Contains(said, strconv.Itoa(s.v.pid())) {
		s.v.t.Errorf("a second vigil ended with %d: %s", code, said)
	}
	s.done.add("second vigils refused", 1)
}

// reopen asks for the logs; it may say no (the disk is full), but must say so.
func (s *storm) reopen(*rand.Rand) {
	code, said := s.v.command("reopen")
	if code != 0 && (code != 1 || said == "") {
		s.v.t.Errorf("vigil reopen ended with %d: %s", code, said)
	}
	s.done.add(fmt.Sprintf("reopens with code %d", code), 1)
}

// reload asks for a reload, which may be refused, with a reason.
func (s *storm) reload(*rand.Rand) {
	s.done.add("reloads asked for", 1)
	code, said := s.v.command("reload")
	if code != 0 && (code != 1 || said == "") {
		s.v.t.Errorf("vigil reload ended with %d: %s", code, said)
	}
	s.done.add(fmt.Sprintf("reloads with code %d", code), 1)
}

// killSupervisor kills the one in charge, or a candidate.
func (s *storm) killSupervisor(rnd *rand.Rand) {
	list, _ := s.v.family()
	if len(list) > 0 && s.v.hit(list[rnd.IntN(len(list))], unix.SIGKILL) {
		s.done.add("supervisors killed", 1)
	}
}

// stopSupervisor stops one for a while; one time in three for good.
func (s *storm) stopSupervisor(rnd *rand.Rand) {
	list, _ := s.v.family()
	if len(list) == 0 {
		return
	}
	pid := list[rnd.IntN(len(list))]
	if !s.v.hit(pid, unix.SIGSTOP) {
		return
	}
	s.done.add("supervisors stopped", 1)
	if rnd.IntN(3) > 0 {
		s.pause(rnd, time.Second)
		s.v.hit(pid, unix.SIGCONT)
	}
}

func (s *storm) killService(rnd *rand.Rand) {
	names := []string{victim, victim, marked, "extra0", "extra1"}
	pid, _ := s.v.newest(names[rnd.IntN(len(names))])
	if pid > 0 && s.v.hit(pid, unix.SIGKILL) {
		s.done.add("services killed", 1)
	}
}

// fill takes all room on the file system of the state directory for a while.
func (s *storm) fill(rnd *rand.Rand) {
	path := s.v.path("state", "filler")
	if fillUp(path) != nil {
		return // no room even for that
	}
	defer os.Remove(path)
	s.done.add("times the disk was full", 1)
	s.pause(rnd, 500*time.Millisecond)
}

// account looks at the ledger when all is quiet: every entry has come to an end,
// and no signal is in it that was not sent.
func (s *storm) account() {
	v := s.v
	sent := int(s.rounds) // by settle
	for _, name := range []string{"SIGHUP sent", "SIGUSR1 sent", "SIGQUIT sent", "SIGWINCH sent", "reloads asked for"} {
		sent += s.done.get(name)
	}
	v.eventually("an account of all signals", func() error {
		list, err := v.ledger()
		if err != nil {
			return err
		}
		sum := 0
		for _, e := range list {
			sum += e.Count
		}
		if sum > sent {
			return fmt.Errorf("%d signals are in the ledger, %d were sent", sum, sent)
		}
		return sound(list)
	})
}

// settle writes a configuration that was never there before, sends the last
// HUP, and expects that it is followed by a reload that has read it.
func (s *storm) settle() {
	v := s.v
	mark := fmt.Sprintf("last of round %d", s.rounds)
	s.valid = initial().with(marked, mark).with("last", mark)
	v.configure(s.valid)
	v.signal(unix.SIGHUP)
	begin := time.Now()
	v.eventually("the configuration before the last HUP", v.runs(s.valid))
	v.t.Logf("round %d: the configuration of the last HUP ran after %v", s.rounds, time.Since(begin).Round(time.Millisecond))
}
