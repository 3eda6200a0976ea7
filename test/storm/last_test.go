package storm

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLastHUP changes the configuration while a reload is under way, perhaps
// after that has read it, and sends the last HUP then: a reload that has read
// the change must follow.
func TestLastHUP(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(stormSeed(t), 4))
	count := 15
	if long() {
		count = 300
	}
	c := configuration{still: "0", marked: "0"}
	v := start(t, vigilBinary, c)
	v.eventually("the first start", v.runs(c))
	pid, _ := v.newest(still)
	for n := range count {
		v.signal(unix.SIGHUP)
		gap(rnd, reloadGap+2*reloadTime)
		c = c.with(marked, strconv.Itoa(n+1))
		v.configure(c)
		v.signal(unix.SIGHUP)
		v.eventually("the configuration before the last HUP", v.runs(c))
	}
	v.untouched(pid)
	v.end()
	v.complete(still)
}
