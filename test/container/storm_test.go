package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// contender is who can be pid 1.
type contender struct {
	name, cgroup string
	entry        func(script string) []string
	children     int // that pid 1 has besides orphans
}

// contenders are vigil and those peers that are in PATH, for comparison.
var contenders = []contender{
	{"vigil", "", func(s string) []string { return service(s) }, 2},
	{"vigil without cgroup", "none", func(s string) []string { return service(s) }, 2},
	{"tini", "", func(s string) []string { return []string{"tini", "--", "/bin/sh", "-c", s} }, 1},
	{"dumb-init", "", func(s string) []string { return []string{"dumb-init", "/bin/sh", "-c", s} }, 1},
}

func each(t *testing.T, script string, do func(t *testing.T, b *box, others int)) {
	for _, c := range contenders {
		t.Run(c.name, func(t *testing.T) {
			entry := c.entry(script)
			path, err := exec.LookPath(entry[0])
			if err != nil {
				t.Skip("it is only compared with")
			}
			entry[0] = path
			b := start(t, Layout{Entry: entry, Env: []string{state}, Cgroup: c.cgroup}, false)
			do(t, b, c.children)
			b.signal(syscall.SIGTERM)
			b.ends(128 + int(unix.SIGTERM))
		})
	}
}

// reaped waits until pid 1 has no child but the others, dead or alive.
func (b *box) reaped(others int) {
	b.t.Helper()
	err := rig.Wait("all orphans to be reaped", patience, func() (bool, error) { return b.children() == others, nil })
	if err != nil {
		b.t.Errorf("%v: %d children are left", err, b.children())
	}
}

// TestStorm makes orphans that all end at the same moment: they wait for the
// end of a pipe.
func TestStorm(t *testing.T) {
	const count = 1000
	script := fmt.Sprintf(`mkfifo $D/hold; echo made >> $D/made; exec 3< $D/hold
		(i=0; while [ $i -lt %d ]; do read x <&3 & i=$((i+1)); done)
		exec 3<&-; echo ready >> $D/up; exec sleep 1000`, count)
	each(t, script, func(t *testing.T, b *box, others int) {
		b.until("made", "made")
		hold, err := os.OpenFile(b.file("hold"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.until("up", "ready")
		if n := b.children(); n < count {
			t.Errorf("%d children, want %d orphans", n, count)
		}
		begin := time.Now()
		hold.Close()
		b.reaped(others)
		t.Logf("%d orphans ended and were reaped in %v", count, time.Since(begin).Round(time.Millisecond))
	})
}

// TestChurn makes orphans that end at once, one after the other, as fast as a
// shell can. VIGIL_STORM is how many hundreds of them, 10 without it.
func TestChurn(t *testing.T) {
	hundreds := 10
	if text := os.Getenv("VIGIL_STORM"); text != "" {
		if _, err := fmt.Sscan(text, &hundreds); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do
		(j=0; while [ $j -lt 100 ]; do : & j=$((j+1)); done); i=$((i+1)); done
		echo ready >> $D/up; exec sleep 1000`, hundreds)
	each(t, script, func(t *testing.T, b *box, others int) {
		begin := time.Now()
		b.until("up", "ready")
		made, behind := time.Since(begin), b.children()-others
		begin = time.Now()
		b.reaped(others)
		t.Logf("%d00 orphans made in %v; then %d were not reaped yet, and were after %v",
			hundreds, made.Round(time.Millisecond), behind, time.Since(begin).Round(time.Microsecond))
	})
}

// children counts those of pid 1, zombies included.
func (b *box) children() int {
	n := 0
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", b.cmd.Process.Pid))
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		n += len(strings.Fields(string(text)))
	}
	return n
}
