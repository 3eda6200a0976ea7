package procsignal

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

func TestOf(t *testing.T) {
	check := func(sig syscall.Signal, want Answer) {
		t.Helper()
		if got, err := Of(os.Getpid(), sig); err != nil || got != want {
			t.Errorf("%v: got %v, %v", sig, got, err)
		}
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	check(syscall.SIGUSR1, Handles)
	signal.Ignore(syscall.SIGUSR2)
	check(syscall.SIGUSR2, Ignores)
	signal.Reset(syscall.SIGUSR2)
	if _, err := Of(1<<29, syscall.SIGHUP); err == nil {
		t.Error("no error for no process")
	}
}

func TestParse(t *testing.T) {
	const status = "Name:\tx: y\nSigQ:\t1/2\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000000802\nSigCgt:\t0000000180000200\n"
	for sig, want := range map[syscall.Signal]Answer{
		1: Handles, 2: Ignores, 12: Ignores, 10: Handles, 15: Default, 0: Default, 65: Default, 33: Handles,
	} {
		if got := parse(status, sig); got != want {
			t.Errorf("%d: %v, not %v", int(sig), got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("SigCgt:\t0000000180000200\n", 10)
	f.Add("SigBlk", 64)
	f.Fuzz(func(t *testing.T, status string, sig int) {
		if a := parse(status, syscall.Signal(sig)); a < Default || a > Handles {
			t.Error(a)
		}
	})
}
