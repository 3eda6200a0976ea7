package psi

import (
	"math"
	"os"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const text = "some avg10=23.56 avg60=22.32 avg300=20.16 total=8011986906\nfull avg10=100.00 avg60=0.00 avg300=0.00 total=0\n"
	if s, ok := Parse([]byte(text), Some); !ok || math.Abs(s.Avg10-.2356) > 1e-9 || s.Total != 8011986906*time.Microsecond {
		t.Errorf("%+v %v", s, ok)
	}
	if s, ok := Parse([]byte(text), Full); !ok || s != (Stall{Avg10: 1}) {
		t.Errorf("%+v %v", s, ok)
	}
	for _, bad := range []string{"", "some\n", "some avg10=101 avg60=0 avg300=0 total=1", "some avg10=NaN avg60=0 avg300=0 total=1", "some avg10=1 avg60=0 avg300=0 total=-1"} {
		if s, ok := Parse([]byte(bad), Some); ok {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("some avg10=23.56 avg60=22.32 avg300=20.16 total=18446744073709551615\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []string{Some, Full} {
			if s, _ := Parse(text, kind); !(s.Avg10 >= 0 && s.Avg10 <= 1) || s.Total < 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestParsesTheMachines(t *testing.T) {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		t.Skipf("this kernel tells no pressure: %v", err)
	}
	if _, ok := Parse(text, Some); !ok {
		t.Errorf("cannot parse %q", text)
	}
}

func TestShareIsOneAtMost(t *testing.T) {
	if Share(3, 2) != 1 || Share(1, 2) != .5 || Share(1, 0) != 0 || Share(-1, 2) != 0 {
		t.Error(Share(3, 2), Share(1, 2), Share(1, 0), Share(-1, 2))
	}
}

func TestPressureSinceEarlierTotals(t *testing.T) {
	at := func(seconds, cpu, memory, io int) Totals {
		s := func(n int) Stall { return Stall{Total: time.Duration(n) * time.Second, Avg10: .25} }
		return Totals{At: time.Duration(seconds) * time.Second, Known: true, CPU: s(cpu), Memory: s(memory), IO: s(io)}
	}
	for _, c := range []struct {
		now, before Totals
		want        Pressure
	}{
		{Totals{}, at(1, 0, 0, 0), Pressure{}},
		{at(10, 1, 1, 1), Totals{}, Pressure{true, .25, .25, .25}},
		{at(10, 1, 1, 1), at(10, 0, 0, 0), Pressure{true, .25, .25, .25}},
		{at(20, 6, 3, 99), at(10, 1, 1, 1), Pressure{true, .5, .2, 1}},
		{at(20, 0, 0, 0), at(10, 1, 1, 1), Pressure{true, 0, 0, 0}},
	} {
		if got := c.now.Since(c.before); got != c.want {
			t.Errorf("%+v since %+v: %+v", c.now, c.before, got)
		}
	}
}
