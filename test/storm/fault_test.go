package storm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/vigil-supervisor/vigil/internal/fault"
)

// faultPoints are the places where a supervisor, or a candidate, is killed.
var faultPoints = []string{
	"before hello", "after hello", "before recover", "after recover", "before plan", "after plan", "after epoch",
	"before ready", "after ready", "before start", "after start", "before put-note", "after put-note",
	"before put-file", "after put-file", "before ack", "after ack", "before kill", "after kill",
	"before publish", "before signal", "after signal", "before release", "after release", "before drop-file", "after drop-file",
}

// shortFaults is how many of the points a short run takes, by chance.
const shortFaults = 5

// TestFaults kills at one point after the other, in the middle of a reload that
// adds a service, changes one and removes one. Whatever happens, the untouched
// service runs on, no service runs twice, and the next reload puts everything
// right.
func TestFaults(t *testing.T) {
	t.Parallel()
	points, passages := faultPoints, 2
	if !long() {
		rnd := rand.New(rand.NewPCG(stormSeed(t), 3))
		points, passages = slices.Clone(points), 1
		rnd.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		points = points[:shortFaults]
	}
	faults(t, "kill", points, passages)
}

// TestHangs stops candidates for good, where a time limit has to find them.
func TestHangs(t *testing.T) {
	t.Parallel()
	if !long() {
		t.Skip("it waits for time limits of many seconds: make storm")
	}
	faults(t, "stop", []string{"before hello", "after epoch", "before ready", "after ready"}, 1)
}

func faults(t *testing.T, action string, points []string, passages int) {
	t.Helper()
	file := fmt.Sprintf("%s/fault", t.TempDir())
	c := initial().with("old", "0")
	v := start(t, faultBinary, c, fault.Variable+"="+file)
	v.eventually("the first start", v.runs(c))
	pid, _ := v.newest(still)
	n := 0
	for _, point := range points {
		for nth := 1; nth <= passages; nth++ {
			n++
			next := c.with(marked, fmt.Sprint(n)).with(fmt.Sprintf("new%d", n), "0")
			for name := range next {
				if name == "old" || name == fmt.Sprintf("new%d", n-1) {
					delete(next, name)
				}
			}
			v.configure(next)
			if err := os.WriteFile(file, fmt.Appendf(nil, "%s:%s:%d", point, action, nth), 0o600); err != nil {
				t.Fatal(err)
			}
			v.signal(syscall.SIGHUP)
			// An order that no passage meets stays; then the reload has worked.
			fired := false
			v.eventually(point+": the fault, or the reload", func() error {
				if _, err := os.Stat(file); err != nil {
					fired = true
					return nil
				}
				return v.runs(next)()
			})
			_ = os.Remove(file)
			if nth == 1 && !fired {
				t.Errorf("%s: nobody came by", point)
			}
			v.eventually(point+": a supervisor after the fault", func() error { _, err := v.instance(); return err })
			v.signal(syscall.SIGHUP)
			v.eventually(fmt.Sprintf("%s, passage %d: the reload after the fault", point, nth), v.runs(next))
			v.untouched(pid)
			c = next
		}
	}
	t.Logf("%d faults", n)
	v.end()
	v.complete(still)
}

// untouched complains when the service that nobody touches was touched, or one
// has run twice.
func (v *vigil) untouched(pid int) {
	v.t.Helper()
	if text, err := os.ReadFile(v.path("services", alarmFile)); err == nil {
		v.t.Fatalf("two instances at a time: %s\n%s", text, v.tail())
	}
	if now, _ := v.newest(still); now != pid || v.starts(still) != 1 {
		v.t.Fatalf("%s was pid %d and is pid %d, started %d times\n%s", still, pid, now, v.starts(still), v.tail())
	}
}
