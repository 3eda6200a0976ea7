package recorder

import (
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNumberIsExactBelow2048AndNearAbove(t *testing.T) {
	for _, n := range []uint64{0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 1 << 20, 123456789, maxNumber - 1, maxNumber} {
		got := unpack(pack(n))
		if got > n || n-got > n/1024 || (n < 2048 && got != n) {
			t.Errorf("%d became %d", n, got)
		}
	}
	if got := unpack(pack(1 << 63)); got != maxNumber {
		t.Errorf("what is too great became %d, want %d", got, maxNumber)
	}
	for c := range 1 << 16 {
		if back := pack(unpack(uint16(c))); back != uint16(c) {
			t.Fatalf("%#x became %#x", c, back)
		}
	}
}

func full(second uint32) Sample {
	return Sample{
		Second: second, CPU: 730 * time.Microsecond, Memory: 1500 << 10, Threads: 7, Files: 30, Beats: 3, Silence: 400 * time.Millisecond,
		Lines: 12, Bytes: 999, State: 5, Probes: ProbesFailed, Measured: true, Restarts: 1, Signals: 2,
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
