package recorder

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPack(t *testing.T) {
	for _, v := range []uint64{0, 1, 2047, 2048, 2049, 4095, 4096, 123456, 1 << 20, 1<<20 + 12345, 1 << 30, 1 << 41, 1<<42 - 1} {
		got := unpack(pack(v))
		if diff := math.Abs(float64(got) - float64(v)); diff > float64(v)*0.0005+0.5 {
			t.Errorf("%d became %d", v, got)
		}
	}
	if pack(1<<60) != 1<<16-1 {
		t.Error("a number that is too large is not the largest")
	}
}

func TestRing(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if list, err := Read(r.File()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	sample := func(n int) Sample {
		return Sample{At: time.Duration(n) * time.Second, CPU: 0.25, RSS: 1 << 30, Threads: n, FDs: 7, Beats: 3, Lines: 100, Failed: 1, Good: 2, State: 4, Silence: 1500 * time.Millisecond}
	}
	for n := range Size / 2 {
		if err := r.Add(sample(n)); err != nil {
			t.Fatal(err)
		}
	}
	// Another supervisor goes on with the same memory.
	if r, err = Open(r.File()); err != nil {
		t.Fatal(err)
	}
	for n := Size / 2; n < 2*Size; n++ {
		if err := r.Add(sample(n)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := Read(r.File())
	if err != nil || len(list) != Size-1 {
		t.Fatalf("%d samples, %v", len(list), err)
	}
	for i, s := range list {
		if want := sample(Size + 1 + i); s != want {
			t.Fatalf("sample %d is %+v, want %+v", i, s, want)
		}
	}
	if info, err := r.File().Stat(); err != nil || info.Size() > 20<<10 {
		t.Errorf("%d bytes", info.Size())
	}
}

func TestSaturates(t *testing.T) {
	var b [recordSize]byte
	Sample{At: 1 << 62, CPU: 1e9, RSS: math.MaxInt64, Threads: 1 << 30, FDs: -5, Beats: 1000, Lines: -1, Failed: 99, Good: 99, Silence: time.Hour * 9999}.encode(b[:])
	s := decode(b[:])
	if s.CPU != 65.535 || s.Threads != 65535 || s.FDs != 0 || s.Beats != 255 || s.Lines != 0 || s.Failed != 15 || s.Good != 15 {
		t.Errorf("%+v", s)
	}
}

// TestProcess looks at a real process that works, and at its end.
func TestProcess(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	p, err := OpenProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var s Sample
	if err := p.Look(time.Second, &s); err != nil || s.Threads != 1 || s.CPU != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	used := p.last.cpu
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.last.cpu < used+50*time.Millisecond {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it uses no processor")
		}
		if err := p.Look(2*time.Second, &s); err != nil {
			t.Fatal(err)
		}
		p.at = time.Second
		s.CPU = 0
	}
	p.last.cpu = used
	if err := p.Look(2*time.Second, &s); err != nil || s.CPU < 0.05 {
		t.Errorf("%+v, %v", s, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := p.Look(3*time.Second, &s); err == nil {
		t.Error("a process that is gone is looked at")
	}
}

func FuzzRead(f *testing.F) {
	r, err := New()
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile("/proc/self/fd/" + itoa(int(r.File().Fd())))
	if err == nil {
		f.Add(whole)
	}
	r.Close()
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Read(bytes.NewReader(b))
		if len(list) > Size || err != nil && list != nil {
			t.Errorf("%d samples, %v", len(list), err)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 2 170000000 2900 18446744073709551615"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseStat(b) })
}

func itoa(n int) string {
	b := []byte{}
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}
