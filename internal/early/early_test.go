package early

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

func TestTake(t *testing.T) {
	for _, c := range []struct {
		pid  int
		args []string
		want bool
	}{
		{1, []string{"vigil", "run", "--", "x"}, true},
		{1, []string{"vigil", "--name", "a", "up"}, true},
		{1, []string{"vigil", "events", "--follow"}, false},
		{2, []string{"vigil", "run", "--", "x"}, false},
	} {
		got := take(c.pid, c.args)
		if (got != nil) != c.want {
			t.Errorf("pid %d, %q: %v", c.pid, c.args, got != nil)
		}
		if got != nil {
			signal.Stop(got)
		}
	}
}

func TestHandOver(t *testing.T) {
	c := make(chan os.Signal, 1)
	HandOver(c) // nothing was taken early
	signals = make(chan os.Signal, 1)
	defer func() { signals = nil }()
	for range 2 { // the second finds c full
		signals <- syscall.SIGTERM
		HandOver(c)
	}
	if s := <-c; s != syscall.SIGTERM {
		t.Error(s)
	}
}
