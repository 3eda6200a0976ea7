package storm

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTerm sends TERM into the middle of a reload, with and without a gap, with
// the supervisor or the candidate killed as well. It is sent once: vigil ends,
// with status 0, and leaves nothing.
func TestTerm(t *testing.T) {
	t.Parallel()
	hup, term := unix.SIGHUP, unix.SIGTERM
	cases := []struct {
		name    string
		signals []syscall.Signal
		kill    bool // then kill a supervisor
	}{
		{"HUP and TERM", []syscall.Signal{hup, term}, false},
		{"TERM and HUP", []syscall.Signal{term, hup}, false},
		{"HUP, a gap, TERM", []syscall.Signal{hup, 0, term}, false},
		{"HUP twice, a gap, TERM twice", []syscall.Signal{hup, hup, 0, term, term}, false},
		{"HUP, a gap, TERM, a kill", []syscall.Signal{hup, 0, term}, true},
		{"TERM, a gap, a kill", []syscall.Signal{term, 0}, true},
	}
	seed := stormSeed(t)
	rnd := rand.New(rand.NewPCG(seed, 2))
	rounds := 1
	if long() {
		rounds = 15
	}
	for _, one := range cases {
		var longest time.Duration
		for range rounds {
			c := configuration{still: "0", marked: "0"}
			v := start(t, vigilBinary, c)
			v.eventually("the first start", v.runs(c))
			v.configure(c.with(marked, "1").with("extra", "1"))
			for _, s := range one.signals {
				if s == 0 {
					gap(rnd, reloadTime)
					continue
				}
				v.signal(s)
			}
			begin := time.Now()
			if one.kill {
				gap(rnd, reloadTime)
				if list, _ := v.family(); len(list) > 0 {
					v.hit(list[rnd.IntN(len(list))], unix.SIGKILL)
				}
			}
			v.ends()
			longest = max(longest, time.Since(begin))
		}
		t.Logf("%s: %d times, ended within %v", one.name, rounds, longest.Round(time.Millisecond))
	}
}

// How long a reload takes here, and how long the next one waits for.
const (
	reloadTime = 80 * time.Millisecond
	reloadGap  = 200 * time.Millisecond
)

// gap is a moment of less than most.
func gap(rnd *rand.Rand, most time.Duration) {
	timer := time.NewTimer(time.Duration(rnd.Int64N(int64(most))))
	<-timer.C
}
