package watchdog

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/psi"
)

// A suspended machine is not made here: the clocks say so.
func TestLookerSeesSuspension(t *testing.T) {
	boot, ahead := time.Hour, 3*time.Second
	l := newLooker(func() (time.Duration, time.Duration) { return boot, ahead })
	if f := l.Look(0, "", 0); f.Suspended != 0 {
		t.Errorf("at first: %s", f.Suspended)
	}
	boot, ahead = boot+time.Second, ahead+time.Microsecond
	if d := l.Baseline(); d != 0 {
		t.Errorf("clocks that are read one after the other: %s", d)
	}
	boot, ahead = boot+8*time.Hour, ahead+8*time.Hour
	for range 2 { // services, each of which must learn of it
		if e := Judge(l.Look(0, "", 0)); e.Name != "suspended-host" || !strings.Contains(e.Text, "8h0m0s") {
			t.Error(e)
		}
	}
	if d := l.Baseline(); d != 8*time.Hour {
		t.Errorf("Baseline: %s", d)
	}
	if f := l.Look(0, "", 0); f.Suspended != 0 || l.Baseline() != 0 {
		t.Errorf("afterwards: %s", f.Suspended)
	}
}

// A clock that stands still, and one that seems to go back.
func TestLookerBearsOddClocks(t *testing.T) {
	boot, ahead := time.Hour, 8*time.Hour
	l := newLooker(func() (time.Duration, time.Duration) { return boot, ahead })
	for range 3 {
		l.Baseline()
		l.Look(os.Getpid(), "", 0)
	}
	ahead = 0
	if e := Judge(l.Look(os.Getpid(), "", 0)); e.Name == "suspended-host" {
		t.Error(e)
	}
	if d := l.Baseline(); d != 0 {
		t.Error(d)
	}
}

func TestLookOfAProcessThatIsGone(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	f := NewLooker().Look(cmd.Process.Pid, "/sys/fs/cgroup/not-there", -time.Second)
	f.Machine = Pressure{}
	if f != (Facts{}) {
		t.Errorf("%+v", f)
	}
}

func TestLookerForgets(t *testing.T) {
	boot := time.Hour
	l := newLooker(func() (time.Duration, time.Duration) { return boot, 0 })
	l.Look(os.Getpid(), "", 0)
	if len(l.known) != 1 {
		t.Fatalf("%d known", len(l.known))
	}
	boot += rememberFor + time.Second
	l.Baseline()
	if len(l.known) != 0 {
		t.Errorf("%d known after %s", len(l.known), rememberFor)
	}
}

// A thread that is in D at two looks is stuck only if it did not run in between.
func TestUninterruptibleSinceTheLastLook(t *testing.T) {
	before := map[int]thread{1: {state: 'D', switches: 7}, 2: {state: 'S', switches: 7}, 3: {state: 'D', switches: 7, start: 4}}
	for name, c := range map[string]struct {
		tid  int
		now  thread
		want int
	}{
		"has not run":         {1, thread{state: 'D', switches: 7}, 1},
		"has run":             {1, thread{state: 'D', switches: 8}, 0},
		"has slept":           {2, thread{state: 'D', switches: 8}, 0},
		"of a number reused":  {3, thread{state: 'D', switches: 1, start: 5}, 1},
		"not seen before":     {4, thread{state: 'D', switches: 1}, 1},
		"waits no more":       {1, thread{state: 'S', switches: 7}, 0},
		"stopped, not in a D": {1, thread{state: 'T', switches: 7}, 0},
	} {
		var f Facts
		newLooker(clocks).lookThreads(&f, 0, map[int]thread{c.tid: c.now}, &subject{marks: [2]mark{{at: 1, threads: before}}})
		if f.Uninterruptible != c.want || f.Threads != 1 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestShares(t *testing.T) {
	was := throttle{periods: 100, held: 50, time: time.Minute}
	for _, c := range []struct {
		now  throttle
		want float64
	}{
		{was, 0},
		{throttle{}, 0}, // another group of that name
		{throttle{periods: 200, held: 150, time: time.Minute + 8*time.Second}, .8},
		{throttle{periods: 200, held: 80, time: time.Minute + 40*time.Second}, .3}, // four processors
	} {
		if got := c.now.since(was, 10*time.Second); got != c.want {
			t.Errorf("%+v: %v", c.now, got)
		}
	}
}

func TestMarksHaveAWindow(t *testing.T) {
	var s subject
	for _, c := range []struct{ at, before time.Duration }{
		{time.Second, 0}, {time.Second + minWindow - 1, 0}, {time.Second + minWindow, time.Second},
		{time.Second + minWindow + 1, time.Second}, {time.Hour, 0},
	} {
		if got := s.before(c.at).at; got != c.before {
			t.Errorf("at %s compared with %s, want %s", c.at, got, c.before)
		}
		s.keep(mark{at: c.at})
	}
}

func FuzzLook(f *testing.F) {
	f.Add([]byte("7 (a) b) D 1 7 7 0 -1 4194560 1 0 99 0 1 2 0 0 20 0 1 0 1234 1 1"))
	f.Add([]byte("1 18446744073709551615 3\n"))
	f.Add([]byte("frozen 1\nTracerPid:\t7\nnr_periods 3\nnr_throttled 3\nthrottled_usec 99999999999999999999\n"))
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x18\x00\x0412\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, _ := parseRunDelay(text); d < 0 {
			t.Error(d)
		}
		if n := psi.Microseconds(keyedNumber(text, "throttled_usec")); n < 0 {
			t.Error(n)
		}
		parseProcStat(text)
		for _, tid := range appendTIDs(nil, text) {
			if tid <= 0 || tid > maxPID {
				t.Error(tid)
			}
		}
	})
}

func TestThreadsOfThisProcess(t *testing.T) {
	var r reader
	all := r.threads(os.Getpid(), true)
	if len(all) == 0 || len(all) > MaxLooked {
		t.Fatalf("%d threads", len(all))
	}
	own := r.tids("/proc/self/task")
	for _, tid := range own {
		if th, ok := all[tid]; ok && th.start == 0 {
			t.Errorf("thread %d: %+v", tid, th)
		}
	}
	if len(own) == 0 || maps.Equal(all, map[int]thread{}) {
		t.Error("none")
	}
}

func BenchmarkLook(b *testing.B) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dir := ""
	if base, err := cgroup.Find(); err == nil {
		g, err := base.Make(fmt.Sprintf("vigil-look-%d", os.Getpid()))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = errors.Join(g.WaitEmpty(b.Context()), g.Remove()) }()
		fd, err := g.OpenDir()
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD, dir = true, fd, g.Path()
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	l := NewLooker()
	for b.Loop() {
		l.Look(cmd.Process.Pid, dir, 0)
	}
}

func BenchmarkBaseline(b *testing.B) {
	l := NewLooker()
	for b.Loop() {
		l.Baseline()
	}
}
