package recorder

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNumbersAreExactWhenSmallAndNearAbove(t *testing.T) {
	for _, c := range []struct {
		name         string
		f            format
		exact, part  uint64 // exact below, else less than 1/part is lost
		codes        uint64
		greatest     uint64
		numbersToTry []uint64
	}{
		{"long", long, 2048, 1024, 1 << 16, 4095 << 30, []uint64{0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 1 << 20, 123456789}},
		{"short", short, 16, 16, 1 << 8, 31 << 14, []uint64{0, 1, 15, 16, 17, 31, 32, 33, 1000, 100_000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range append(c.numbersToTry, c.greatest-1, c.greatest) {
				got := c.f.unpack(c.f.pack(n))
				if got > n || n-got > n/c.part || (n < c.exact && got != n) {
					t.Errorf("%d became %d", n, got)
				}
			}
			if got := c.f.unpack(c.f.pack(1 << 63)); got != c.greatest {
				t.Errorf("what is too great became %d, want %d", got, c.greatest)
			}
			for code := range c.codes {
				if back := c.f.pack(c.f.unpack(code)); back != code {
					t.Fatalf("%#x became %#x", code, back)
				}
			}
		})
	}
}

func TestPressureIsKeptInSteps(t *testing.T) {
	for _, f := range []float64{-1, 0, 0.001, 0.01, 0.1, 0.5, 0.999, 1, 2, math.NaN()} {
		got := unpackPressure(packPressure(Pressure{Known: true, CPU: f}))
		want := min(max(f, 0), 1)
		if math.IsNaN(f) {
			want = 0
		}
		// A step is 1/31 of the root, and the nearest is taken.
		if d := math.Abs(math.Sqrt(got.CPU) - math.Sqrt(want)); !got.Known || d > 0.5/31+1e-9 {
			t.Errorf("%v became %v", f, got.CPU)
		}
	}
	if got := unpackPressure(packPressure(Pressure{CPU: 1})); got != (Pressure{}) {
		t.Errorf("what is not known became %+v", got)
	}
}

func TestABitOfAnotherSignHasNoPast(t *testing.T) {
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.NameSign("web", 0, "nobody")
	if got := m.Signs("web"); got != [MaxSigns]string{} {
		t.Errorf("a service without a slot has signs %q", got)
	}
	if err := m.Put("web", full(1000)); err != nil {
		t.Fatal(err)
	}
	m.NameSign("web", 1, "heartbeat heartbeat")
	m.NameSign("web", 7, "activity "+strings.Repeat("a", 80))
	m.NameSign("web", 8, "out of range")
	names := m.Signs("web")
	if names[1] != "heartbeat heartbeat" || names[0] != "" || len(names[7]) != MaxSignName {
		t.Errorf("signs %q", names)
	}
	if got := m.Samples("web", 1000)[0]; got.Seen != 1 || got.Late != 0 {
		t.Errorf("seen %b, late %b: want what was bit 7 gone, the others kept", got.Seen, got.Late)
	}
}

func TestStallsOfTheMachine(t *testing.T) {
	s := OfMachine()
	if _, err := os.ReadFile("/proc/pressure/cpu"); err != nil {
		t.Skipf("this kernel tells no pressure: %v", err)
	}
	for _, now := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second} {
		if p := s.Measure(now); !p.Known || !(p.CPU >= 0 && p.CPU <= 1) {
			t.Errorf("at %s %+v", now, p)
		}
	}
	if p := OfCgroup(t.TempDir()).Measure(0); p.Known {
		t.Errorf("of no cgroup: %+v", p)
	}
}

func full(second uint32) Sample {
	return Sample{
		Second: second, CPU: 730 * time.Microsecond, Memory: 1500 << 10, Threads: 7, Files: 30, Beats: 3, Silence: 150 * time.Millisecond,
		Lines: 12, Bytes: 640, Seen: 1, Late: 128, State: 5,
		Pressure: Pressure{Known: true, Memory: unpackShare(3), IO: 1}, Probes: ProbesFailed, Measured: true, Restarts: 1, Signals: 2,
	}
}

func TestASuccessorReadsWhatWasWritten(t *testing.T) {
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for s := uint32(1000); s < 2500; s++ {
		if err := m.Put("web", full(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Put("db", full(2499)); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(m.File().Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := Open(os.NewFile(uintptr(fd), "samples"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	got := next.Samples("web", 2499)
	if len(got) != Kept || got[0] != full(1600) || got[Kept-1] != full(2499) {
		t.Errorf("%d samples, first %+v", len(got), got[0])
	}
	if got := next.Samples("web", 3000); len(got) != 399 {
		t.Errorf("%d samples are of the last 900 seconds, want 399", len(got))
	}
	next.Forget("web")
	if err := next.Put("new", full(2500)); err != nil {
		t.Fatal(err)
	}
	if got := next.Samples("new", 2500); !slices.Equal(got, []Sample{full(2500)}) || len(next.slots) != 2 {
		t.Errorf("the slot of another was not taken clean: %d samples, %d slots", len(got), len(next.slots))
	}
}

func TestForeignMemoryIsRefused(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(f); err == nil {
		t.Error("a plain file was taken")
	}
}

func FuzzSlot(f *testing.F) {
	b := make([]byte, slotSize)
	claim(b, "web")
	put(b, full(1000))
	f.Add(b, uint32(1000))
	f.Add([]byte{1}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, now uint32) {
		name, err := slotName(b)
		if err == nil && len(name) > MaxName {
			t.Errorf("a name of %d bytes", len(name))
		}
		if len(b) == slotSize {
			for i := range MaxSigns {
				if n := len(signName(b, i)); n > MaxSignName {
					t.Errorf("a sign's name of %d bytes", n)
				}
			}
		}
		list := samples(b, now)
		if len(list) > Kept {
			t.Errorf("%d samples", len(list))
		}
		for i, s := range list {
			if s.Second > now || now-s.Second >= Kept || (i > 0 && s.Second <= list[i-1].Second) {
				t.Errorf("sample %d of second %d at %d", i, s.Second, now)
			}
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 5 0 1234 100 55 1"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseStat(b) })
}

func TestMeasuresARealProcess(t *testing.T) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	st, err := parseStat(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenProcess(os.Getpid(), st.start)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var s Sample
	if err := p.Measure(&s); err != nil {
		t.Fatal(err)
	}
	// Until the clock of the kernel has counted some of this.
	for end := time.Now().Add(10 * time.Second); s.CPU < 50*time.Millisecond && time.Now().Before(end); {
		var next Sample
		if err := p.Measure(&next); err != nil {
			t.Fatal(err)
		}
		next.CPU += s.CPU
		s = next
	}
	if s.CPU < 50*time.Millisecond || s.Threads == 0 || s.Memory < 1<<20 || !s.Measured {
		t.Errorf("measured %+v", s)
	}
	if _, err := OpenProcess(os.Getpid(), st.start+1); err == nil {
		t.Error("another process was measured")
	}
}

func BenchmarkMeasure(b *testing.B) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		b.Fatal(err)
	}
	st, err := parseStat(text)
	if err != nil {
		b.Fatal(err)
	}
	p, err := OpenProcess(os.Getpid(), st.start)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for b.Loop() {
		var s Sample
		if err := p.Measure(&s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStalls(b *testing.B) {
	s := OfMachine()
	for i := 0; b.Loop(); i++ {
		s.Measure(time.Duration(i) * time.Second)
	}
}
