package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// TestStorm makes orphans that all end at the same moment: they wait for the
// end of a pipe. VIGIL_STORM is how many, 1,000 without it.
func TestStorm(t *testing.T) {
	count := 1000
	if text := os.Getenv("VIGIL_STORM"); text != "" {
		if _, err := fmt.Sscan(text, &count); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf(`mkfifo $D/hold; echo made >> $D/made; exec 3< $D/hold
		(i=0; while [ $i -lt %d ]; do read x <&3 & i=$((i+1)); done)
		exec 3<&-; echo ready >> $D/up; exec sleep 1000`, count)
	for _, cgroup := range []string{"", "none"} {
		t.Run("cgroup="+cgroup, func(t *testing.T) {
			b := start(t, Layout{Entry: service(script), Env: []string{state}, Cgroup: cgroup}, false)
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
			err = rig.Wait("all orphans to be reaped", patience, func() (bool, error) { return b.children() == 2, nil })
			t.Logf("%d orphans gone and reaped after %v", count, time.Since(begin).Round(time.Millisecond))
			if err != nil {
				t.Errorf("%v: %d children are left", err, b.children())
			}
			b.signal(syscall.SIGTERM)
			b.ends(128 + int(unix.SIGTERM))
		})
	}
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
