package heartbeat

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

func only(t *testing.T, p *clienttest.Page) wire.Slot {
	t.Helper()
	taken, err := p.Taken()
	if err != nil || len(taken) != 1 {
		t.Fatalf("%+v, %v", taken, err)
	}
	return taken[0]
}

func TestLifeOfAnActivity(t *testing.T) {
	p, vigil := newPage(t, 2)
	a, err := p.Claim("flusher", 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Slot{Pulse: 1<<8 | uint64(wire.Idle), State: wire.Idle, Beats: 1, Timeout: 2 * time.Second, PID: uint32(os.Getpid()), Serial: 1, Name: "flusher"}
	if got := only(t, vigil); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	for i, step := range []struct {
		do   func()
		want wire.SlotState
	}{{a.Beat, wire.Idle}, {a.Busy, wire.Busy}, {a.Beat, wire.Busy}, {a.Idle, wire.Idle}, {a.Stopping, wire.Stopping}, {a.Beat, wire.Stopping}} {
		step.do()
		if got := only(t, vigil); got.State != step.want || got.Beats != uint64(i+2) {
			t.Errorf("step %d: %v after %d beats", i, got.State, got.Beats)
		}
	}
	a.Release()
	if taken, err := vigil.Taken(); err != nil || len(taken) != 0 {
		t.Errorf("after release: %+v, %v", taken, err)
	}
}

func TestReleasedActivityTouchesNobody(t *testing.T) {
	p, vigil := newPage(t, 1)
	old, _ := p.Claim("old", 0)
	old.Release()
	if _, err := p.Claim("new", 0); err != nil {
		t.Fatal(err)
	}
	before := only(t, vigil)
	old.Beat()
	old.Busy()
	old.OnThread()
	old.Release()
	if got := only(t, vigil); got != before || got.Serial != 2 {
		t.Errorf("\n got %+v\nwant %+v", got, before)
	}
}

func TestFullPage(t *testing.T) {
	p, vigil := newPage(t, 3)
	var last *Activity
	for range 3 {
		a, err := p.Claim("x", 0)
		if err != nil {
			t.Fatal(err)
		}
		last = a
	}
	none, err := p.Claim("one too many", 0)
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "the page has 3") {
		t.Errorf("%v", err)
	}
	none.Busy()
	none.Release()
	if taken, _ := vigil.Taken(); len(taken) != 3 {
		t.Errorf("%d taken", len(taken))
	}
	last.Release()
	if _, err := p.Claim("y", 0); err != nil {
		t.Error(err)
	}
}

// A slot goes to another one only when its process is gone for certain.
func TestFullPageTakesFromTheDead(t *testing.T) {
	p, vigil := newPage(t, 3)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for i, pid := range []int{os.Getppid(), 0, dead.Process.Pid} {
		fill(&vigil.Slots[i], wire.Slot{Name: "old", PID: uint32(pid)})
	}
	if _, err := p.Claim("new", 0); err != nil {
		t.Fatal(err)
	}
	if s, _ := vigil.Slots[2].Slot(); s.Name != "new" || s.Serial != 2 {
		t.Errorf("%+v", s)
	}
	if _, err := p.Claim("too many", 0); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

func TestClaimNeedsAName(t *testing.T) {
	p, vigil := newPage(t, 1)
	if _, err := p.Claim("", 0); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	if _, err := p.Claim("x", -1); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := p.Claim(strings.Repeat("a", 31)+"ä", 0); err != nil {
		t.Error(err)
	}
	if s := only(t, vigil); s.Name != strings.Repeat("a", 31) {
		t.Errorf("%q", s.Name)
	}
}

func TestNobodyWatches(t *testing.T) {
	a, err := new(Page).Claim("x", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	a.Busy()
	a.Beat()
	a.Idle()
	a.Stopping()
	a.OnThread()
	a.Release()
	a.Beat()
}

func TestOnThread(t *testing.T) {
	p, vigil := newPage(t, 1)
	a, _ := p.Claim("x", 0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a.OnThread()
	if s := only(t, vigil); int(s.TID) != unix.Gettid() || int(s.PID) != os.Getpid() {
		t.Errorf("%+v", s)
	}
}

// Those who say Busy and Idle around their work leave an activity idle,
// whatever they do at the same time.
func TestSharedActivityEndsIdle(t *testing.T) {
	p, vigil := newPage(t, 1)
	a, _ := p.Claim("shared", 0)
	for range 20 {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 500 {
					a.Busy()
					a.Beat()
					a.Idle()
				}
			})
		}
		all.Wait()
		if s := only(t, vigil); s.State != wire.Idle {
			t.Fatalf("%+v", s)
		}
	}
}

func TestManyClaimAtOnce(t *testing.T) {
	const each, claimers = 512, 8
	p, vigil := newPage(t, each*claimers)
	var all sync.WaitGroup
	stop := make(chan struct{})
	reader := make(chan struct{})
	go func() { // as vigil reads: whatever it sees must be whole
		defer close(reader)
		for {
			taken, err := vigil.Taken()
			if err != nil {
				t.Error(err)
			}
			for _, s := range taken {
				if s.Name != "worker" || s.Timeout != time.Minute {
					t.Errorf("%+v", s)
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range claimers {
		all.Go(func() {
			for range each {
				a, err := p.Claim("worker", time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				a.Beat()
			}
		})
	}
	all.Wait()
	close(stop)
	<-reader
	if taken, err := vigil.Taken(); err != nil || len(taken) != each*claimers {
		t.Errorf("%d of %d, %v", len(taken), each*claimers, err)
	}
}

func BenchmarkBeat(b *testing.B) {
	vigil, err := clienttest.New(1)
	if err != nil {
		b.Fatal(err)
	}
	fd, err := unix.Dup(int(vigil.File.Fd()))
	if err != nil {
		b.Fatal(err)
	}
	p, err := Attach(fd)
	if err != nil {
		b.Fatal(err)
	}
	a, err := p.Claim("x", 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Beat()
	}
}
