//go:build vigilfault

package fault

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Enabled says whether points do anything.
const Enabled = true

// passed counts the passages of this process by order; several goroutines may
// come.
var (
	mu     sync.Mutex
	passed = map[order]int{}
)

// Point carries out the order if it is for this passage through name. What
// passed before the order was given does not count.
func Point(name string) {
	text := os.Getenv(Variable)
	if text == "" {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	file := ""
	if strings.HasPrefix(text, "/") {
		file = text
		b, err := os.ReadFile(file)
		if err != nil {
			return // not given yet, or carried out
		}
		text = string(b)
	}
	o, err := parse(text)
	if err != nil || o.point != name {
		return
	}
	if passed[o]++; passed[o] != o.nth {
		return
	}
	if file != "" && os.Remove(file) != nil {
		return // another process was first
	}
	if o.action == actionStop {
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
		return
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {} // until it has arrived
}
