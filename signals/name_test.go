package signals

import (
	"syscall"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"HUP": 1, "SIGHUP": 1, "hup": 1, "SigHup": 1, "1": 1, "TERM": 15, "64": 64,
		"RTMIN": 34, "RTMIN+3": 37, "SIGRTMIN+30": 64, "RTMAX": 64, "RTMAX-1": 63, "RTMAX-30": 34,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "SIG", "0", "65", "-1", "+1", "HUPP", "SIGSIGHUP", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN++1", "RTMIN+-1", "999999999999999999999"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func TestNameIsParsed(t *testing.T) {
	for s := syscall.Signal(1); s <= 64; s++ {
		if got, err := Parse(Name(s)); err != nil || got != s {
			t.Errorf("%d is %q, and that is %d, %v", s, Name(s), got, err)
		}
	}
	if Name(0) != "0" || Name(65) != "65" || Name(-3) != "-3" {
		t.Errorf("names of no signals: %q %q %q", Name(0), Name(65), Name(-3))
	}
	if n := Names(); len(n) != 31 || n[0] != "HUP" || n[14] != "TERM" {
		t.Errorf("names: %v", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"HUP", "sigusr1", "RTMIN+3", "RTMAX-2", "12", "SIGRTMIN+99", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err == nil && (n < 1 || n > 64) {
			t.Errorf("%q is %d", s, n)
		}
		if err != nil && n != 0 {
			t.Errorf("%q is %d and an error", s, n)
		}
	})
}
