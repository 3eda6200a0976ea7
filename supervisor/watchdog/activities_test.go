package watchdog

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// program plays the program's side of a page.
type program struct{ slots []wire.Words }

func (p program) claim(i int, name string, limit time.Duration, tid uint32) {
	w := wire.EncodeSlot(wire.Slot{Pulse: uint64(wire.Idle), Timeout: limit, PID: 1, TID: tid, Serial: 1, Name: name})
	for j := len(w) - 1; j >= 0; j-- {
		p.slots[i][j].Store(w[j])
	}
}

func (p program) set(i int, state wire.SlotState) {
	word := &p.slots[i][wire.WordPulse]
	word.Store((word.Load()>>8+1)<<8 | uint64(state))
}

func (p program) beat(i int) { p.slots[i][wire.WordPulse].Add(wire.OneBeat) }

func newProgram(n int, o ActivityOptions) (program, *Activities) {
	p := program{make([]wire.Words, n)}
	return p, newActivities(p.slots, o)
}

func wantOne(t *testing.T, got []Verdict, to State, text string) {
	t.Helper()
	if len(got) != 1 || got[0].To != to || got[0].Text != text {
		t.Errorf("got %+v, want %v %q", got, to, text)
	}
}

func TestActivityThatIsSilent(t *testing.T) {
	p, a := newProgram(63, ActivityOptions{Who: func(_, tid uint32) (string, bool) { return fmt.Sprint("flush-", tid), false }})
	for i := range 18 {
		p.claim(i, fmt.Sprint("worker-", i), 2*s, 0)
	}
	p.claim(20, "flusher", 2*s, 4711)
	if v := a.Check(100 * s); v != nil {
		t.Errorf("%+v", v)
	}
	if v := a.Check(1000 * s); v != nil {
		t.Errorf("idle activities are not healthy: %+v", v)
	}
	for i := range 18 {
		p.set(i, wire.Busy)
	}
	p.set(20, wire.Busy)
	a.Check(1000 * s)
	at := 1000 * s
	beatOthers := func() {
		for i := range 18 {
			p.beat(i)
		}
	}
	for range 11 {
		at += 100 * time.Millisecond
		beatOthers()
		if v := a.Check(at); v != nil {
			t.Fatalf("at %v: %+v", at, v)
		}
	}
	beatOthers()
	wantOne(t, a.Check(1001*s+s/5), Suspect, "activity `flusher` (thread 4711, comm `flush-4711`) busy, silent for 1.2s of 2s; 18 others fine")
	if at, ok := a.Next(); !ok || at > 1002*s {
		t.Errorf("the deadline is at %v", at)
	}
	beatOthers()
	wantOne(t, a.Check(1003*s+s/5), Confirmed, "activity `flusher` (thread 4711, comm `flush-4711`) busy, silent for 3.2s of 2s; 18 others fine")
	beatOthers()
	if v := a.Check(1004 * s); v != nil {
		t.Errorf("told again: %+v", v)
	}
	p.beat(20)
	wantOne(t, a.Check(1004*s+1), Healthy, "activity `flusher` beats again")
	list := a.List(1004*s + 1)
	if len(list) != 19 || list[0].Kind != KindActivity {
		t.Errorf("%+v", list)
	}
}

func TestActivityNameCannotEndItsQuotation(t *testing.T) {
	p, a := newProgram(1, ActivityOptions{Timeout: s, Who: func(_, _ uint32) (string, bool) { return "a`b\x1b[31m", false }})
	p.claim(0, "x` idle\x1b]0;", 0, 7)
	p.set(0, wire.Busy)
	a.Check(10 * s)
	wantOne(t, a.Check(10*s+700*time.Millisecond), Suspect, "activity `x' idle\ufffd]0;` (thread 7, comm `a'b\ufffd[31m`) busy, silent for 700ms of 1s; 0 others fine")
}

// Suspicion comes first even when both times are over, and the verdict at once
// after it.
func TestActivityBothThresholdsPast(t *testing.T) {
	p, a := newProgram(2, ActivityOptions{Timeout: s})
	p.claim(0, "x", 0, 0)
	p.set(0, wire.Busy)
	a.Check(10 * s)
	wantOne(t, a.Check(20*s), Suspect, "activity `x` (process 1) busy, silent for 10s of 1s; 0 others fine")
	if at, ok := a.Next(); !ok || at > 20*s {
		t.Errorf("next look at %v", at)
	}
	wantOne(t, a.Check(20*s), Confirmed, "activity `x` (process 1) busy, silent for 10s of 1s; 0 others fine")
}

func TestActivityWhoseProcessIsGone(t *testing.T) {
	ended := false
	p, a := newProgram(2, ActivityOptions{Timeout: s, Who: func(pid, _ uint32) (string, bool) { return "", ended }})
	p.claim(0, "x", 0, 0)
	p.set(0, wire.Busy)
	a.Check(10 * s)
	ended = true
	if v := a.Check(11 * s); v != nil {
		t.Errorf("%+v", v)
	}
	if state := wire.SlotState(p.slots[0][wire.WordPulse].Load()); state != wire.Free {
		t.Errorf("the slot is %v", state)
	}
}

func TestActivitiesGarbage(t *testing.T) {
	p, a := newProgram(5, ActivityOptions{Timeout: s})
	for i := range p.slots {
		for j := range p.slots[i] {
			p.slots[i][j].Store(0xdeadbeefdeadbe00 + uint64(i)) // one of each state
		}
	}
	p.slots[4][0].Store(0xff)
	a.Check(10 * s)
	if a.Odd() != 1 {
		t.Errorf("%d odd slots", a.Odd())
	}
	a.Check(10*s + wire.MaxInterval)
	if got := a.List(10 * s); len(got) != 3 || strings.ContainsAny(got[0].Name, "\x00\x1b") {
		t.Errorf("%+v", got)
	}
}

// A slot that is given back and claimed again between two scans shows the very
// pulse that it showed before. It is another activity, and not silent.
func TestActivityInAReusedSlot(t *testing.T) {
	p, a := newProgram(1, ActivityOptions{Timeout: s})
	for n := range uint32(20) {
		w := wire.EncodeSlot(wire.Slot{Pulse: wire.OneBeat | uint64(wire.Idle), Serial: n + 1, Name: "request"})
		for j := len(w) - 1; j >= 0; j-- {
			p.slots[0][j].Store(w[j])
		}
		p.set(0, wire.Busy)
		if v := a.Check(10*s + time.Duration(n)*s/2); v != nil {
			t.Fatalf("claim %d: %+v", n, v)
		}
	}
}

func TestActivitiesTellGarbageOnce(t *testing.T) {
	f, err := NewPage(3)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := MapPage(f)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	a := NewActivities(page, ActivityOptions{Timeout: s})
	p := program{page.slots}
	p.claim(0, "fine", 0, 0)
	p.slots[1][0].Store(uint64(wire.Claimed))
	p.slots[2][0].Store(200)
	clear(page.memory[:8])
	a.Check(10 * s)
	a.Check(30 * s)
	const want = "slots in no state that exists: 1; claims broken off: 1; the header is overwritten: no further process of the service can use the page"
	if got := a.List(30 * s); len(got) != 2 || got[0].Name != "fine" || got[1].Text != want {
		t.Errorf("%+v", got)
	}
	if v := a.Check(1000 * s); v != nil {
		t.Errorf("%+v", v)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	p, a := newProgram(4096, ActivityOptions{Timeout: time.Hour})
	for i := range p.slots {
		p.claim(i, "x", 0, 0)
		p.set(i, wire.Busy)
	}
	now := s
	if n := testing.AllocsPerRun(10, func() { now++; a.Check(now) }); n != 0 {
		t.Errorf("a scan allocates %v times", n)
	}
}

// FuzzActivities: whatever stands in the slots, a scan ends, and says nothing of
// slots that hold no activity.
func FuzzActivities(f *testing.F) {
	f.Add([]byte("\x03\x01\x00\x00\x00\x00\x00\x00\x01"))
	f.Add(make([]byte, 3*wire.SlotSize))
	f.Fuzz(func(t *testing.T, garbage []byte) {
		p, a := newProgram(3, ActivityOptions{Timeout: s, Stop: s})
		for i := 0; i+8 <= min(len(garbage), 3*wire.SlotSize); i += 8 {
			p.slots[i/wire.SlotSize][i%wire.SlotSize/8].Store(binary.NativeEndian.Uint64(garbage[i:]))
		}
		for now := s; now < wire.MaxInterval; now *= 7 {
			for _, v := range a.Check(now) {
				if strings.ContainsAny(v.Text, "\x00\x1b\n") {
					t.Fatalf("%q", v.Text)
				}
			}
			a.List(now)
		}
	})
}

func TestActivitiesSuspend(t *testing.T) {
	p, a := newProgram(1, ActivityOptions{Timeout: s})
	p.claim(0, "x", 0, 0)
	p.set(0, wire.Busy)
	a.Check(10 * s)
	a.Check(10*s + 700*time.Millisecond)
	a.Suspend()
	if _, ok := a.Next(); ok || a.Check(100*s) != nil {
		t.Error("judged while suspended")
	}
	wantOne(t, a.Resume(100*s), Healthy, "judged again from now on")
	if v := a.Check(100 * s); v != nil {
		t.Errorf("%+v", v)
	}
	wantOne(t, a.Check(100*s+600*time.Millisecond), Suspect, "activity `x` (process 1) busy, silent for 600ms of 1s; 0 others fine")
}

// Whatever the program does: nothing is confirmed before its limit has passed
// without a change, never without a suspicion before, and each change is told.
func TestActivitiesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, a := newProgram(3, ActivityOptions{Timeout: 2 * s, Stop: 5 * s})
		now := 100 * s
		changed := [3]time.Duration{}
		states := map[string]State{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "slot")
			switch rapid.SampledFrom([]string{"claim", "busy", "idle", "stop", "beat", "free", "odd", "wait", "wait"}).Draw(t, "act") {
			case "claim":
				p.claim(i, "n", time.Duration(rapid.Int64Range(0, 4).Draw(t, "limit"))*s, 0)
			case "busy":
				p.set(i, wire.Busy)
			case "idle":
				p.set(i, wire.Idle)
			case "stop":
				p.set(i, wire.Stopping)
			case "beat":
				p.beat(i)
			case "free":
				p.slots[i][0].Store(0)
			case "odd":
				p.set(i, 77)
			case "wait":
				now += time.Duration(rapid.Int64Range(1, 3000).Draw(t, "ms")) * time.Millisecond
				i = -1
			}
			if i >= 0 {
				changed[i] = now
			}
			for _, v := range a.Check(now) {
				if v.From != states[v.Sign] || v.To == Confirmed && v.From != Suspect {
					t.Fatalf("%+v, was %v", v, states[v.Sign])
				}
				states[v.Sign] = v.To
				n := int(v.Sign[len(v.Sign)-1] - '0')
				limit := time.Duration(a.limitOf(n, wire.SlotState(a.seen[n])))
				if v.To == Confirmed && now-changed[n] < limit {
					t.Fatalf("%+v after %v of %v", v, now-changed[n], limit)
				}
			}
			if at, ok := a.Next(); !ok || at > now+longestScan {
				t.Fatalf("next look at %v, now %v", at, now)
			}
		}
	})
}

func TestPage(t *testing.T) {
	f, err := NewPage(63)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := MapPage(f)
	if err != nil {
		t.Fatal(err)
	}
	if page.Len() != 63 || !page.Intact() {
		t.Errorf("%d slots, intact %v", page.Len(), page.Intact())
	}
	if _, err := f.WriteAt(make([]byte, 64), 0); err != nil {
		t.Fatal(err)
	}
	if page.Intact() {
		t.Error("a header of zeros is intact")
	}
	if err := f.Truncate(10); err == nil {
		t.Error("a program could shrink the page")
	}
	if err := page.Close(); err != nil {
		t.Error(err)
	}
	fd, err := unix.MemfdCreate("other", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(fd), "other")
	defer other.Close()
	if _, err := MapPage(other); err == nil {
		t.Error("an unsealed file was mapped")
	}
}

func BenchmarkScan(b *testing.B) {
	for _, n := range []int{63, 4096, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, a := newProgram(n, ActivityOptions{Timeout: time.Hour})
			for i := range n {
				p.claim(i, "x", 0, 0)
				p.set(i, wire.Busy)
			}
			now := s
			for b.Loop() {
				now++
				a.Check(now)
			}
		})
	}
}
